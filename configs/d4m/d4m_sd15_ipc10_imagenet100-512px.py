# D4M on ImageNet-100: 10 images per class, generated at 512 pixels by Stable Diffusion 1.5 and saved at 224.
# mmdistill distill configs/d4m/d4m_sd15_ipc10_imagenet100-512px.py
_base_ = ['../_base_/methods/d4m_sd15.py', '../_base_/datasets/imagenet100.py']

test_dataloader = dict(dataset=_base_.train_dataset)
