# layout-unet_camvid-256x192.py at twice the size: 64x48 latents, which keep small objects that the autoencoder blurs at
# 256x192, and a fourth level. The learning rate restarts after 8 000 iterations; --cfg-options train_cfg.max_iters=8000
# stops there, with nearly the same results. bfloat16 halves the time on a CPU that has it; elsewhere:
# --cfg-options optim_wrapper.type=OptimWrapper
# mmdistill train configs/generators/layout-unet_camvid-512x384.py
# Weights of TAESD on disk: --cfg-options model.vae=/path/to/taesd
_base_ = './layout-unet_camvid-256x192.py'

max_iters = 16000
image_scale = (512, 384)
resize = dict(_scope_='mmseg', type='Resize', scale=image_scale, keep_ratio=False)
load_pipeline = [_base_.load_pipeline[0], _base_.load_pipeline[1], resize, _base_.load_pipeline[-1]]
model = dict(unet=dict(block_out_channels=(64, 96, 128, 192)))
flip_pipeline = [*load_pipeline[:-1], dict(_scope_='mmseg', type='RandomFlip', prob=0.5), load_pipeline[-1]]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=flip_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=load_pipeline))
optim_wrapper = dict(type='BFloat16OptimWrapper')
restarts = dict(
    type='CosineRestartLR', periods=[7900, 8000], restart_weights=[1, 1], eta_min_ratio=0.02, by_epoch=False, begin=100)
param_scheduler = [_base_.warmup, restarts]
train_cfg = dict(max_iters=max_iters, val_interval=2000)
