# DDOQ on ImageWoof: 10 images per class, 256x256, with image weights and DiT-XL/2.
# mmdistill distill configs/ddoq/ddoq_dit-xl2_ipc10_imagewoof-256px.py
_base_ = ['../_base_/methods/ddoq.py', '../_base_/generators/dit-xl2.py', '../_base_/datasets/imagewoof.py']

model = dict(generator=dict(class_ids=_base_.imagenet_ids, strength=0.7))  # the strength of D4M
test_dataloader = dict(batch_size=10, dataset=_base_.train_dataset)
