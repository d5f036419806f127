# CGS on ImageNette in 20 instead of 50 steps: 10 images per class, 256x256, with DiT-XL/2.
# The scale was chosen for 50 steps. With steps of the same length, 20 steps guide only 40 % as far: tune it again.
# mmdistill distill configs/cgs/cgs_dit-xl2-fast_ipc10_imagenette-256px.py
_base_ = ['../_base_/methods/cgs.py', '../_base_/generators/dit-xl2_fast.py', '../_base_/datasets/imagenette.py']

model = dict(generator=dict(class_ids=_base_.imagenet_ids))
test_dataloader = dict(batch_size=10, dataset=_base_.train_dataset)
