# DMGD on ImageNette with all settings of the authors' released code: 10 images per class, 256x256, with DiT-XL/2.
# mmdistill distill configs/dmgd/dmgd_dit-xl2_ipc10_imagenette-256px_released.py
_base_ = ['../_base_/methods/dmgd_released.py', '../_base_/datasets/imagenette.py']

model = dict(generator=dict(class_ids=_base_.imagenet_ids))
test_dataloader = dict(batch_size=10, dataset=_base_.train_dataset)
