# The guiding segmentor of CamVid: the network of the student, trained longer on the full train split.
# mmdistill train configs/generators/unet-guide_camvid-256x192.py
_base_ = '../students/unet_camvid-256x192.py'

max_iters = 1600
train_dataloader = dict(batch_size=8)
param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
custom_hooks = [dict(type='mmdistill.ExportHook')]
