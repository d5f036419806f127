# CGS on the built-in object pictures: 10 images per class instead of 200, with the built-in weights.
# mmdistill distill configs/cgs/cgs_class-unet_ipc10_objects-64px.py
_base_ = [
    '../_base_/methods/cgs.py', '../_base_/generators/class-unet_objects-64px.py', '../_base_/datasets/objects.py'
]

# The workers draw the real pictures, which the autoencoder encodes.
test_dataloader = dict(batch_size=10, num_workers=2, dataset=_base_.train_dataset)
guidance = dict(_base_.guidance, scale=10)  # for the latents of this generator
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
