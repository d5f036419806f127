# The guiding segmentor of the built-in generator: the network of the student, trained on 8 000 scenes.
# mmdistill train configs/generators/unet-guide_streets-64x64.py
_base_ = '../students/unet_streets-64x64.py'

max_iters = 2500
train_dataloader = dict(batch_size=16, dataset=dict(num_scenes=8000))
val_dataloader = dict(dataset=dict(split='val'))
param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
custom_hooks = [dict(type='mmdistill.ExportHook')]
