# The generator by itself, from pure noise: what the guidance and the prototypes of other methods are compared with.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='unguided')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), dict(type='PreviewHook')]
