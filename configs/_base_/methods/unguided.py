# The generator without guidance or prototypes, from pure noise: the baseline of the other methods.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='unguided')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), dict(type='PreviewHook')]
