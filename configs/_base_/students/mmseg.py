# The settings that students of segmentation share: batches of 4, AdamW, warm-up and poly decay, mIoU after the
# training. A config sets the length:
#   param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]
#   train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
_base_ = '../default_runtime.py'

default_scope = 'mmseg'
train_dataloader = dict(batch_size=4, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = dict(_scope_='mmseg', type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=4e-3, weight_decay=1e-3))
warmup = dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20)
poly = dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=20)
train_cfg = dict(type='IterBasedTrainLoop')
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=-1))  # the last iteration is saved
