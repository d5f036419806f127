# D4M on ImageWoof: 10 images per class of 224x224, by Stable Diffusion 1.5 from prototypes.
_base_ = ['../_base_/methods/d4m_sd15_ipc10.py', '../_base_/datasets/imagewoof.py']
test_dataloader = dict(dataset=_base_.train_dataset)
