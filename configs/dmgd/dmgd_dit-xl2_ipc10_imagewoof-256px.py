# DMGD on ImageWoof: 10 images per class (custom_hooks.0.ipc) of 256x256, by DiT-XL/2.
_base_ = ['../_base_/methods/dmgd_dit.py', '../_base_/datasets/imagewoof.py']
model = dict(generator=dict(class_ids=_base_.imagenet_ids))
test_dataloader = dict(dataset=_base_.train_dataset)
