# A judge of street scenes that takes no part in guidance: another network (ERFNet), other scenes than the guide's.
_base_ = './streets_segmentor.py'
max_iters = 2000
norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(_delete_=True, type='ERFNet', norm_cfg=norm_cfg, dropout_ratio=0.03),
    decode_head=dict(in_channels=16, in_index=-1))
train_dataloader = dict(dataset=dict(indices=list(range(8000, 16000)), num_scenes=16000))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=20, end=max_iters),
]
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
