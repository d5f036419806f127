# The autoencoder of the built-in generator: 64x64 images, 16x16 latents of 12 channels, trained with weights by class:
# without them images that only went through it lose half of the signs, judged by streets_judge.py.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/streets.py', '../_base_/generators/schedule.py']

max_iters = 8000
model = dict(
    type='AutoencoderTrainer',
    data_preprocessor=_base_.data_preprocessor,
    autoencoder=dict(
        encoder_block_out_channels=(32, 32, 32),
        decoder_block_out_channels=(32, 32, 32),
        num_encoder_blocks=(1, 2, 3),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=12),
    class_balance=dict(num_classes=11, gamma=0.5))
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
optim_wrapper = dict(type='BFloat16OptimWrapper')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=100, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
