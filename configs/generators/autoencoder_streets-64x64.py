# The autoencoder of the built-in layout-conditioned generator: 64x64 images, 16x16 latents of 12 channels, trained with
# class weights. Without them, half of the traffic signs are lost in reconstructions, as measured by
# unet-judge_streets-64x64.py.
# mmdistill train configs/generators/autoencoder_streets-64x64.py
_base_ = ['../_base_/schedules/generator.py', '../_base_/models/autoencoder.py', '../_base_/datasets/streets.py']

max_iters = 8000
model = dict(autoencoder=dict(latent_channels=12), class_balance=dict(num_classes=11, gamma=0.5))
# More scenes than the dataset to distil has. Like published weights, the autoencoder is not limited to that dataset.
train_dataloader = dict(batch_size=16, dataset=dict(_base_.train_dataset, num_scenes=8000))
val_dataloader = dict(dataset=dict(_base_.test_dataset, split='val', num_scenes=96))
val_evaluator = dict(type='PSNR')
optim_wrapper = dict(type='BFloat16OptimWrapper', optimizer=dict(lr=2e-3))
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters)
