# D4M and MGD3 together on ImageNette at 128 pixels: each image starts from a prototype and is moved towards it.
# Train the class-conditional generator of this project first:
# mmdistill train configs/generators/class-unet_cpu_imagenette-128px.py
# mmdistill distill configs/mgd3/d4m-mgd3_class-unet_ipc10_imagenette-128px.py
_base_ = './mgd3_class-unet_ipc10_imagenette-128px.py'

test_cfg = dict(method='D4M + MGD3')
model = dict(generator=dict(strength=0.7))
custom_hooks = [dict(type='PrototypeHook', ipc=10), _base_.guidance, dict(type='PreviewHook')]
