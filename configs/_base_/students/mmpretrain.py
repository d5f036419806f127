# The settings that students of classification share: ImageNet's mean and standard deviation, and top-1 accuracy after
# the training.
_base_ = '../default_runtime.py'

default_scope = 'mmpretrain'
data_preprocessor = dict(
    _scope_='mmpretrain',
    type='ClsDataPreprocessor',
    num_classes=10,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True)
val_dataloader = dict(sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = dict(_scope_='mmpretrain', type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=-1))  # the last iteration or epoch is saved
