# A small stock mmseg network for 64x64 street scenes: the student of the quickstart, and (on more scenes) the guiding
# segmentor.
# mmdistill train configs/students/unet_streets-64x64.py
_base_ = ['../_base_/students/mmseg.py', '../_base_/models/unet-s.py', '../_base_/datasets/streets.py']

max_iters = 1000
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(
        num_stages=4,
        strides=(1, 1, 1, 1),
        enc_num_convs=(2, 2, 2, 2),
        dec_num_convs=(2, 2, 2),
        downsamples=(True, True, True),
        enc_dilations=(1, 1, 1, 1),
        dec_dilations=(1, 1, 1)),
    decode_head=dict(in_index=3))
train_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='RandomFlip', prob=0.5),
    dict(_scope_='mmseg', type='PhotoMetricDistortion'),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
test_pipeline = _base_.load_pipeline
train_dataloader = dict(dataset=dict(_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(batch_size=20, dataset=dict(_base_.test_dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
