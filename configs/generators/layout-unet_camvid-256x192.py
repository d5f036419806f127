# A layout-conditioned denoiser for CamVid at 256x192, in the latent space of TAESD (32x24 latents of 4 channels), which
# is frozen.
# mmdistill train configs/generators/layout-unet_camvid-256x192.py
# Weights of TAESD on disk: --cfg-options model.vae=/path/to/taesd
_base_ = ['../_base_/schedules/generator.py', '../_base_/datasets/camvid.py']

max_iters = 6000
flip_pipeline = [
    *_base_.load_pipeline[:-1],
    dict(_scope_='mmseg', type='RandomFlip', prob=0.5),
    _base_.load_pipeline[-1],
]
model = dict(
    type='LayoutDiffusion',
    cache_latents=True,
    vae='madebyollin/taesd',
    unet=dict(num_classes=11, layout_factor=8, layout_channels=96, block_out_channels=(64, 96, 128)))
train_dataloader = dict(batch_size=8, dataset=dict(_base_.train_dataset, pipeline=flip_pipeline))
val_dataloader = dict(batch_size=8, dataset=_base_.val_dataset)
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=2000)
