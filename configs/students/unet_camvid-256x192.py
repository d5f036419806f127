# A small stock mmseg network for CamVid at 256x192: the student, and (on the whole train split) the guiding segmentor.
# It is trained from scratch; predictions are compared with the masks at their original size, 480x360.
# mmdistill train configs/students/unet_camvid-256x192.py
_base_ = ['../_base_/students/mmseg.py', '../_base_/models/unet-m.py', '../_base_/datasets/camvid.py']

max_iters = 600
model = dict(
    data_preprocessor=dict(size=(192, 256), test_cfg=dict(size=(192, 256))),
    decode_head=dict(
        # 1 / ln(1.02 + share of the pixels) of the train split (ENet, arXiv 1606.02147). avg_non_ignore stays
        # off, because mmseg does not support it together with class weights and ignored pixels.
        loss_decode=dict(class_weight=[5.6, 4.3, 33.6, 3.3, 15.5, 8.7, 31.5, 32.0, 12.8, 38.0, 43.9])))
train_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='Resize', scale=_base_.image_scale, keep_ratio=False),
    dict(_scope_='mmseg', type='RandomFlip', prob=0.5),
    dict(_scope_='mmseg', type='PhotoMetricDistortion'),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
test_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='Resize', scale=_base_.image_scale, keep_ratio=False),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(_base_.val_dataset, pipeline=test_pipeline))
test_dataloader = dict(batch_size=8, dataset=dict(_base_.test_dataset, pipeline=test_pipeline))
param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
