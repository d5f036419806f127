# Protocol idc_hard-tiny: idc_hard (see there) for small images and a CPU. Optimizer, augmentation, batch size and form
# of the schedule are those of idc_hard; this file contains the differences. Results of different protocols are not
# comparable, including those of idc_hard: report the protocol with them. Students: configs/students/*_64px.py.
# mmdistill train configs/protocols/idc_hard-tiny.py
_base_ = './idc_hard.py'

protocol = dict(
    id='idc_hard-tiny',
    by_size=[
        (classes, ipc, dict(settings, epochs=settings['epochs'] // 10))  # a tenth
        for classes, ipc, settings in _base_.protocol.by_size
    ])
image_size = 64
max_epochs = 200

model = dict(backbone=dict(stem='mid'))  # see resnetap10_64px.py
train_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_size, edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_size),
    dict(_scope_='mmpretrain', type='RandomResizedCrop', scale=image_size, crop_ratio_range=(0.5, 1.0)),
    *_base_.train_pipeline[4:],
]
test_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_size, edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_size),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
param_scheduler = dict(milestones=[2 * max_epochs // 3, 5 * max_epochs // 6])
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 10)
