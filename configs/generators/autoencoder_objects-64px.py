# The autoencoder of the built-in class-conditional generator: 64x64 images, 16x16 latents of 4 channels.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/objects.py', '../_base_/generators/schedule.py']

max_iters = 2800
model = dict(
    type='AutoencoderTrainer',
    data_preprocessor=_base_.data_preprocessor,
    autoencoder=dict(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(1, 2, 3),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=4))
# More pictures than the data set that is distilled has: the generator is a product of its own, as hub weights are.
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(_base_.train_dataset, num_images=8000))
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(_base_.test_dataset, split='val', num_images=96))
val_evaluator = dict(type='PSNR')
optim_wrapper = dict(type='BFloat16OptimWrapper')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=700)
