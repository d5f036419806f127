# The settings that all distillation configs share. They add model, test_dataloader's dataset and batch_size,
# test_cfg.method and custom_hooks.
_base_ = './default_runtime.py'

test_dataloader = dict(num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False))
test_cfg = dict(type='DistillLoop', seed=0)
test_evaluator = []
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
