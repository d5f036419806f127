# A teacher for the built-in object pictures: the student's network, longer, on all real pictures.
# python tools/train.py configs/teachers/objects.py
_base_ = '../students/convnet4_objects.py'
max_iters = 1500
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=20, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
