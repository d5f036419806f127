# DMGD on ImageNet-1K: 10 images per class (custom_hooks.0.ipc) of 256x256, by DiT-XL/2.
_base_ = ['../_base_/methods/dmgd_dit.py', '../_base_/datasets/imagenet1k.py']
model = dict(generator=dict(micro_batch=50))
test_dataloader = dict(dataset=_base_.train_dataset, batch_size=50)
