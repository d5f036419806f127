# S³ on the built-in object pictures: 10 of 50 images per class, with the built-in weights.
# mmdistill distill configs/s3/s3_class-unet_ipc10_objects-64px.py
_base_ = [
    '../_base_/methods/s3.py', '../_base_/generators/class-unet_objects-64px.py', '../_base_/datasets/objects.py'
]

# The workers draw the pictures that are compared.
test_dataloader = dict(batch_size=10, num_workers=2, dataset=_base_.train_dataset)
choice = dict(  # of the features that are there without a download
    _base_.choice, encoder=dict(type='LatentEncoder', vae='mmdistill://objects', image_size=64))
custom_hooks = [dict(type='ClassPlanHook', ipc=10, candidates=5), choice, dict(type='PreviewHook')]
