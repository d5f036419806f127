# The class-conditional denoiser of the built-in generator, on the latents of an autoencoder that has to be trained
# first. Another one: --cfg-options model.vae=/path/to/autoencoder
# mmdistill train configs/generators/autoencoder_objects-64px.py
# mmdistill train configs/generators/class-unet_objects-64px.py
_base_ = ['../_base_/schedules/generator.py', '../_base_/datasets/objects.py']

max_iters = 10000
model = dict(
    type='ClassDiffusion',
    cache_latents=True,
    vae='work_dirs/autoencoder_objects-64px/export',
    unet=dict(num_classes=10, sample_size=16, block_out_channels=(48, 80, 96), layers_per_block=1, attention_levels=2))
train_dataloader = dict(batch_size=32, dataset=_base_.train_dataset)
val_dataloader = dict(dataset=dict(_base_.test_dataset, split='val', num_images=96))
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=2500)
