# DDOQ on ImageNette with 20 instead of 50 steps: 10 images per class, 256x256, with image weights and DiT-XL/2.
# mmdistill distill configs/ddoq/ddoq_dit-xl2-fast_ipc10_imagenette-256px.py
_base_ = ['../_base_/methods/ddoq.py', '../_base_/generators/dit-xl2_fast.py', '../_base_/datasets/imagenette.py']

model = dict(generator=dict(class_ids=_base_.imagenet_ids, strength=0.7))  # the strength of D4M
test_dataloader = dict(batch_size=10, dataset=_base_.train_dataset)
