# DAP on the built-in object pictures: 10 images per class instead of 200, with the built-in weights.
# mmdistill distill configs/dap/dap_class-unet_ipc10_objects-64px.py
_base_ = [
    '../_base_/methods/dap.py', '../_base_/generators/class-unet_objects-64px.py', '../_base_/datasets/objects.py'
]

# The workers draw the real pictures, which the autoencoder encodes.
test_dataloader = dict(batch_size=10, num_workers=2, dataset=_base_.train_dataset)
guidance = dict(_base_.guidance, objectives=[dict(type='FeatureAlignment')], scale=0.1, norm='unit')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
