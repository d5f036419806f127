# The same generator with no prototype, from pure noise: what D4M is compared with.
_base_ = './imagenette_class_unet_ipc10.py'
model = dict(generator=dict(strength=1.0))
test_cfg = dict(method='unguided')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), dict(type='PreviewHook')]
