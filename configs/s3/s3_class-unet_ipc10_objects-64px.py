# S3 on the built-in object pictures: 10 images per class, each chosen from five candidates, with the built-in weights.
# mmdistill distill configs/s3/s3_class-unet_ipc10_objects-64px.py
_base_ = [
    '../_base_/methods/s3.py', '../_base_/generators/class-unet_objects-64px.py', '../_base_/datasets/objects.py'
]

test_dataloader = dict(batch_size=10, num_workers=2, dataset=_base_.train_dataset)
custom_hooks = [
    dict(type='ClassPlanHook', ipc=10, candidates=5),
    dict(
        type='CandidateChoiceHook', encoder=dict(type='LatentEncoder', vae='mmdistill://objects', image_size=64)),
    dict(type='PreviewHook')
]
