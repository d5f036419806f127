# A class-conditional denoiser for ImageNette at 128 pixels, 16x16 latents of 4 channels in the space of TAESD, which is
# frozen. Sized for one GPU; on a CPU use class-unet_cpu_imagenette-128px.py.
# mmdistill train configs/generators/class-unet_imagenette-128px.py
# Weights of TAESD on disk: --cfg-options model.vae=/path/to/taesd
_base_ = ['../_base_/schedules/generator.py', '../_base_/datasets/imagenette.py']

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
    cache_latents=True,
    vae='madebyollin/taesd',
    unet=dict(
        num_classes=10, sample_size=16, block_out_channels=(128, 256, 384), layers_per_block=2, attention_levels=2))
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(_base_.train_dataset, pipeline=[*resize, flip, pack]))
val_dataloader = dict(
    sampler=dict(shuffle=True),  # in a fixed random order, so that the grid shows all classes
    dataset=dict(_base_.test_dataset, pipeline=[*resize, pack]))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=5000)
