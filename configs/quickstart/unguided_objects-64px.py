# The generator of d4m_objects.py by itself: 10 images a class from pure noise.
_base_ = './d4m_objects.py'
test_cfg = dict(method='unguided')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), dict(type='PreviewHook')]
