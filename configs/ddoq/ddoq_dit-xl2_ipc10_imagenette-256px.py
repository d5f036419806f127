# DDOQ on ImageNette: 10 weighted images per class of 256x256, by DiT-XL/2 from prototypes.
# mmdistill distill configs/ddoq/ddoq_dit-xl2_ipc10_imagenette-256px.py
_base_ = ['../_base_/methods/ddoq.py', '../_base_/generators/dit-xl2.py', '../_base_/datasets/imagenette.py']

model = dict(generator=dict(class_ids=_base_.imagenet_ids, strength=0.7))
test_dataloader = dict(batch_size=10, dataset=_base_.train_dataset)
