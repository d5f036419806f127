# Protocol rded-tiny: rded (see there) for small images and a CPU. Optimizer, augmentation, loss and form of the
# schedule are those of rded; this file contains the differences. Results of different protocols are not comparable,
# including those of rded: report the protocol with them. Students: configs/students/*_64px.py.
# mmdistill train configs/protocols/rded-tiny.py
_base_ = './rded.py'

protocol = dict(id='rded-tiny')
image_size = 64
max_epochs = 30  # a tenth of the original number

model = dict(backbone=dict(stem='mid'))  # see resnetap10_64px.py
train_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='mmdistill.ShufflePatches', factor=2),
    dict(
        _scope_='mmpretrain',
        type='RandomResizedCrop',
        scale=image_size,
        crop_ratio_range=(0.5, 1.0),
        backend='pillow'),
    *_base_.train_pipeline[3:],
]
test_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_size * 8 // 7, edge='short', backend='pillow'),  # 73
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_size),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataloader = dict(
    batch_size=50,  # for 10 classes of 10 images
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=50, num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
param_scheduler = dict(T_max=2 * max_epochs, end=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 10)
