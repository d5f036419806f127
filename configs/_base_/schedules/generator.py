# The training settings that all parts of a generator share: AdamW, warm-up and cosine decay, averaged weights, export,
# sample grids. A config sets the length:
#   param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
#   train_cfg = dict(max_iters=max_iters, val_interval=…)
_base_ = '../default_runtime.py'

data_preprocessor = dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True)
train_dataloader = dict(num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(batch_size=32, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='MeanLoss')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.0), clip_grad=dict(max_norm=1.0))
warmup = dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100)
cosine = dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=100)
train_cfg = dict(type='IterBasedTrainLoop', val_interval=1000)
val_cfg = dict(type='ValLoop')
custom_hooks = [
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.002),
    dict(type='SampleGridHook'),
    dict(type='ExportHook'),
]
