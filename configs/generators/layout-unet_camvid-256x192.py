# A layout-conditioned denoiser for CamVid, 256x192, in the latent space of TAESD (32x24 latents of 4 channels).
# The autoencoder is given, frozen: `TAESD=/path/to/taesd` for a copy on disk.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/camvid.py', '../_base_/generators/schedule.py']

max_iters = 6000
flip_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='Resize', scale=_base_.image_scale, keep_ratio=False),
    dict(_scope_='mmseg', type='RandomFlip', prob=0.5),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
model = dict(
    type='LayoutDiffusion',
    data_preprocessor=_base_.data_preprocessor,
    cache_latents=True,
    vae='{{$TAESD:madebyollin/taesd}}',
    unet=dict(num_classes=11, layout_factor=8, layout_channels=96, block_out_channels=(64, 96, 128)))
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(_base_.train_dataset, pipeline=flip_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=_base_.val_dataset)
val_evaluator = dict(type='MeanLoss')
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=2000)
