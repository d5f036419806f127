# The guiding segmentor of the built-in generator: the student's network, on 8 000 scenes.
_base_ = '../students/unet_streets.py'
max_iters = 2500
train_dataloader = dict(batch_size=16, dataset=dict(num_scenes=8000))
val_dataloader = dict(dataset=dict(split='val'))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=20, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
custom_hooks = [dict(type='mmdistill.ExportHook')]
