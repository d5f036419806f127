# The layout-conditioned denoiser of the built-in generator, 3.8 M parameters, on the latents of an autoencoder that has
# to be trained first. Another one: --cfg-options model.vae=/path/to/autoencoder
# mmdistill train configs/generators/autoencoder_streets-64x64.py
# mmdistill train configs/generators/layout-unet_streets-64x64.py
_base_ = ['../_base_/schedules/generator.py', '../_base_/datasets/streets.py']

max_iters = 14000
model = dict(
    type='LayoutDiffusion',
    cache_latents=True,
    vae='work_dirs/autoencoder_streets-64x64/export',
    unet=dict(num_classes=11, layout_factor=4, layout_channels=64, block_out_channels=(64, 96, 128)))
train_dataloader = dict(batch_size=16, dataset=dict(_base_.train_dataset, num_scenes=8000))
val_dataloader = dict(dataset=dict(_base_.test_dataset, split='val', num_scenes=96))
optim_wrapper = dict(type='BFloat16OptimWrapper')
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=2000)
