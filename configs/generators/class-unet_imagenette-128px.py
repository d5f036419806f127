# A class-conditional denoiser for ImageNette at 128 pixels, 16x16 latents of 4 channels in the space of TAESD, which
# is given, frozen: `TAESD=/path/to/taesd` for a copy on disk. Sized for one GPU; on two cores take fewer channels.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/imagenette.py', '../_base_/generators/schedule.py']

max_iters = 40000
image_scale = (128, 128)
resize = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_scale[0], edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_scale),
]
flip = dict(_scope_='mmpretrain', type='RandomFlip', prob=0.5, direction='horizontal')
pack = dict(_scope_='mmpretrain', type='PackInputs')
model = dict(
    type='ClassDiffusion',
    data_preprocessor=_base_.data_preprocessor,
    cache_latents=True,
    vae='{{$TAESD:madebyollin/taesd}}',
    unet=dict(
        num_classes=10, sample_size=16, block_out_channels=(128, 256, 384), layers_per_block=2, attention_levels=2))
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(_base_.train_dataset, pipeline=[*resize, flip, pack]))
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),  # in a fixed order, so that the grid shows all classes
    dataset=dict(_base_.test_dataset, pipeline=[*resize, pack]))
val_evaluator = dict(type='MeanLoss')
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=5000)
