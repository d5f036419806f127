# DAP on ImageNette at 128 pixels: 10 images per class.
# Train the class-conditional generator of this project first:
# mmdistill train configs/generators/class-unet_cpu_imagenette-128px.py
# mmdistill distill configs/dap/dap_class-unet_ipc10_imagenette-128px.py
_base_ = [
    '../_base_/methods/dap.py', '../_base_/generators/class-unet_imagenette-128px.py',
    '../_base_/datasets/imagenette.py'
]

model = dict(generator=dict(micro_batch=10))
test_dataloader = dict(batch_size=20, num_workers=0, dataset=_base_.train_dataset)
guidance = dict(_base_.guidance, objectives=[dict(type='FeatureAlignment')], scale=0.1, norm='unit')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
