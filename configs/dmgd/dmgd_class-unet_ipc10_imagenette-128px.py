# DMGD on ImageNette at 128 pixels: 10 images per class.
# Train the class-conditional generator of this project first:
# mmdistill train configs/generators/class-unet_cpu_imagenette-128px.py
# mmdistill distill configs/dmgd/dmgd_class-unet_ipc10_imagenette-128px.py
_base_ = [
    '../_base_/methods/dmgd.py', '../_base_/generators/class-unet_imagenette-128px.py',
    '../_base_/datasets/imagenette.py'
]

model = dict(generator=dict(micro_batch=10))  # one sample of each class
test_dataloader = dict(batch_size=20, num_workers=0, dataset=_base_.train_dataset)
# The paper's scales, 0.05 to 0.5, are for the latents of DiT. With its epsilon 0.1 and 5 iterations, the plans would be
# blurred here, and each image would be moved towards the mean of the support points.
guidance = dict(
    _base_.guidance, objectives=[dict(type='TransportMatching', epsilon=0.02, iterations=50)], scale=40)
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
