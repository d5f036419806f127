# D4M and MGD3 together on the built-in object pictures: each image starts from a prototype and is
# moved towards it.
# mmdistill distill configs/mgd3/d4m-mgd3_class-unet_ipc10_objects-64px.py
_base_ = './mgd3_class-unet_ipc10_objects-64px.py'

test_cfg = dict(method='D4M + MGD3')
model = dict(generator=dict(strength=0.7))
guidance = dict(_base_.guidance, scale=0.1)
custom_hooks = [dict(type='PrototypeHook', ipc=10), guidance, dict(type='PreviewHook')]
