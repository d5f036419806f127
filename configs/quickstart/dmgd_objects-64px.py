# DMGD on the built-in object pictures: 10 images per class from noise, with both parts of the guidance.
# mmdistill distill configs/quickstart/dmgd_objects-64px.py
_base_ = [
    '../_base_/methods/dmgd.py', '../_base_/generators/class-unet_objects-64px.py', '../_base_/datasets/objects.py'
]

model = dict(
    generator=dict(
        scheduler=dict(
            _delete_=True, type='DDPMScheduler', variance_type='fixed_small', timestep_spacing='linspace'),
        num_steps=25))
# The workers draw the real pictures, which the autoencoder encodes.
test_dataloader = dict(batch_size=10, num_workers=2, dataset=_base_.train_dataset)
guidance = dict(_base_.guidance, scale=40)  # the paper's scales, 0.05 to 0.5, are for DiT and too small here
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
