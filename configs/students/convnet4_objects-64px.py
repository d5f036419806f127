# A narrow ConvNet-4 for 64x64 object pictures, hard labels: the student of the quickstart's classification part.
# mmdistill train configs/students/convnet4_objects-64px.py
_base_ = ['../_base_/students/mmpretrain.py', '../_base_/datasets/objects.py']

max_iters = 300
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(type='mmdistill.ConvNet', depth=4, width=32),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=32 * 4 * 4,  # 64 pixels, halved 4 times
        init_cfg=None,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
train_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='RandomResizedCrop', scale=64, crop_ratio_range=(0.6, 1.0)),
    dict(_scope_='mmpretrain', type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(_scope_='mmpretrain', type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(batch_size=50, num_workers=0, dataset=_base_.test_dataset)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.01))
warmup = dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20)
cosine = dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=20)
param_scheduler = [warmup, dict(cosine, end=max_iters)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
