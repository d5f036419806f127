# The autoencoder of the built-in class-conditional generator: 64x64 images, 16x16 latents of 4 channels.
# mmdistill train configs/generators/autoencoder_objects-64px.py
_base_ = ['../_base_/schedules/generator.py', '../_base_/models/autoencoder.py', '../_base_/datasets/objects.py']

max_iters = 2800
model = dict(autoencoder=dict(latent_channels=4))
# More pictures than the dataset to distil has. Like published weights, the autoencoder is not limited to that dataset.
train_dataloader = dict(batch_size=16, dataset=dict(_base_.train_dataset, num_images=8000))
val_dataloader = dict(dataset=dict(_base_.test_dataset, split='val', num_images=96))
val_evaluator = dict(type='PSNR')
optim_wrapper = dict(type='BFloat16OptimWrapper', optimizer=dict(lr=2e-3))
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=700)
