# The class-conditional denoiser of the built-in generator on the latents of objects_autoencoder.py.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/objects.py', '../_base_/generators/schedule.py']

max_iters = 10000
model = dict(
    type='ClassDiffusion',
    data_preprocessor=_base_.data_preprocessor,
    cache_latents=True,
    vae='work_dirs/objects_autoencoder/export',
    unet=dict(num_classes=10, sample_size=16, block_out_channels=(48, 80, 96), layers_per_block=1, attention_levels=2))
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=_base_.train_dataset)
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(_base_.test_dataset, split='val', num_images=96))
val_evaluator = dict(type='MeanLoss')
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=2500)
