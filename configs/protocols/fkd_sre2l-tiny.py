# Protocol fkd_sre2l-tiny: fkd_sre2l (see there) for small images and a CPU. Optimizer, augmentation, loss and form of
# the schedule are those of fkd_sre2l; this file contains the differences. Results of different protocols are not
# comparable, including those of fkd_sre2l: report the protocol with them. Students: configs/students/*_64px.py.
# mmdistill train configs/protocols/fkd_sre2l-tiny.py
_base_ = './fkd_sre2l.py'

protocol = dict(id='fkd_sre2l-tiny')
image_size = 64
max_epochs = 30  # a tenth of the original number

model = dict(backbone=dict(stem='mid'))  # see resnetap10_64px.py
train_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(
        _scope_='mmpretrain',
        type='RandomResizedCrop',
        scale=image_size,
        crop_ratio_range=(0.08, 1.0),
        backend='pillow'),
    *_base_.train_pipeline[2:],
]
test_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_size * 8 // 7, edge='short', backend='pillow'),  # 73
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_size),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataloader = dict(
    batch_size=50,  # 1024 would be one step per epoch
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=50, num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
param_scheduler = dict(T_max=max_epochs, end=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 10)
