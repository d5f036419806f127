# A small stock mmseg network for CamVid at 256x192: the student, and (on the whole train split) the guide.
# It is trained from scratch; predictions are compared with the masks at their own 480x360.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/camvid.py']
default_scope = 'mmseg'
max_iters = 600
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(192, 256),
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size=(192, 256))),
    backbone=dict(
        type='UNet',
        base_channels=16,
        num_stages=5,
        strides=(2, 1, 1, 1, 1),
        enc_num_convs=(1, 2, 2, 2, 2),
        dec_num_convs=(1, 2, 2, 2),
        downsamples=(True, True, True, True),
        enc_dilations=(1, 1, 1, 1, 1),
        dec_dilations=(1, 1, 1, 1),
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead',
        in_channels=16,
        in_index=4,
        channels=16,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=11,
        norm_cfg=norm_cfg,
        # 1 / ln(1.02 + share of the pixels) of the train split (ENet, arXiv 1606.02147). Not with avg_non_ignore: the
        # host's class weights and ignored pixels go together without it alone.
        loss_decode=dict(
            type='CrossEntropyLoss',
            class_weight=[5.6, 4.3, 33.6, 3.3, 15.5, 8.7, 31.5, 32.0, 12.8, 38.0, 43.9])),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=_base_.image_scale, keep_ratio=False),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(_base_.train_dataset, pipeline=train_pipeline))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=_base_.image_scale, keep_ratio=False),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(_base_.val_dataset, pipeline=test_pipeline))
test_dataloader = dict(val_dataloader, dataset=dict(_base_.test_dataset, pipeline=test_pipeline))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=4e-3, weight_decay=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=20, end=max_iters),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=max_iters))
