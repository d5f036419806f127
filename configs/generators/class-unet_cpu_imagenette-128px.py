# A smaller class-unet_imagenette-128px.py, which trains in less than an hour on one CPU core. Its images are much worse
# than those of the larger network.
# mmdistill train configs/generators/class-unet_cpu_imagenette-128px.py
_base_ = './class-unet_imagenette-128px.py'

max_iters = 8000  # length of the schedule
model = dict(
    unet=dict(_delete_=True, num_classes=10, sample_size=16, block_out_channels=(64, 96, 128), attention_levels=2))
train_dataloader = dict(batch_size=32, num_workers=0, persistent_workers=False)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=6000, val_interval=6000)  # three quarters of the schedule, an hour on one core
