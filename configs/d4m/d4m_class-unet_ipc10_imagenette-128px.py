# D4M on ImageNette at 128 pixels: 10 images per class.
# Train the class-conditional generator of this project first:
# mmdistill train configs/generators/class-unet_cpu_imagenette-128px.py
# mmdistill distill configs/d4m/d4m_class-unet_ipc10_imagenette-128px.py
# Another image set: --cfg-options test_cfg.seed=1 --work-dir …
_base_ = [
    '../_base_/methods/d4m.py', '../_base_/generators/class-unet_imagenette-128px.py',
    '../_base_/datasets/imagenette.py'
]

model = dict(generator=dict(strength=0.7))
test_dataloader = dict(batch_size=20, num_workers=0, dataset=_base_.train_dataset)
