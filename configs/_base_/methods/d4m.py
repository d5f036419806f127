# D4M: an image starts from a prototype of its class, the centre of a cluster of latents.
# Other numbers of images per class: --cfg-options custom_hooks.PrototypeHook.ipc=50
_base_ = '../distill_runtime.py'

test_cfg = dict(method='D4M')
custom_hooks = [dict(type='PrototypeHook', ipc=10), dict(type='PreviewHook')]
