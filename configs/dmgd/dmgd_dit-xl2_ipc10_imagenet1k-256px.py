# DMGD on ImageNet-1K: 10 images per class, 256x256, with DiT-XL/2.
# mmdistill distill configs/dmgd/dmgd_dit-xl2_ipc10_imagenet1k-256px.py
_base_ = ['../_base_/methods/dmgd.py', '../_base_/generators/dit-xl2.py', '../_base_/datasets/imagenet1k.py']

model = dict(generator=dict(micro_batch=50))
test_dataloader = dict(batch_size=50, dataset=_base_.train_dataset)
