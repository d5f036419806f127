# The layout-conditioned denoiser of the built-in generator, 3.8 M parameters, on the latents of
# streets_autoencoder.py.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/streets.py', '../_base_/generators/schedule.py']

max_iters = 14000
model = dict(
    type='LayoutDiffusion',
    data_preprocessor=_base_.data_preprocessor,
    cache_latents=True,
    vae='work_dirs/streets_autoencoder/export',
    unet=dict(num_classes=11, layout_factor=4, layout_channels=64, block_out_channels=(64, 96, 128)))
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(_base_.train_dataset, num_scenes=8000))
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(_base_.test_dataset, split='val', num_scenes=96))
val_evaluator = dict(type='MeanLoss')
optim_wrapper = dict(type='BFloat16OptimWrapper', optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=2000)
