# The autoencoder of the built-in generator: 64x64 images, 16x16 latents of 8 channels.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/streets.py', '../_base_/generators/schedule.py']

model = dict(
    type='AutoencoderTrainer',
    data_preprocessor=_base_.data_preprocessor,
    autoencoder=dict(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(1, 2, 3),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=8))
# More scenes than the data set that is distilled has: the generator is a product of its own, as hub weights are.
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
val_evaluator = dict(type='PSNR')
