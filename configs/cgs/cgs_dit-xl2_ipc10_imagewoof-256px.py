# CGS on ImageWoof: 10 images per class, 256x256, with DiT-XL/2.
# mmdistill distill configs/cgs/cgs_dit-xl2_ipc10_imagewoof-256px.py
_base_ = ['../_base_/methods/cgs.py', '../_base_/generators/dit-xl2.py', '../_base_/datasets/imagewoof.py']

model = dict(generator=dict(class_ids=_base_.imagenet_ids))
test_dataloader = dict(batch_size=10, dataset=_base_.train_dataset)
