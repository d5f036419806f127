# A judge network for street scenes, which is not used for guidance. It differs in depth, width and seed from the
# guiding segmentor, and is trained on scenes that neither that network nor the generator has seen. Its `IoUMetric` on a
# distilled set measures how well the images show their masks.
# mmdistill train configs/generators/unet-judge_streets-64x64.py
_base_ = './unet-guide_streets-64x64.py'

max_iters = 2000
model = dict(
    backbone=dict(
        base_channels=20,
        num_stages=3,
        strides=(1, 1, 1),
        enc_num_convs=(2, 2, 2),
        dec_num_convs=(2, 2),
        downsamples=(True, True),
        enc_dilations=(1, 1, 1),
        dec_dilations=(1, 1)),
    decode_head=dict(in_channels=20, in_index=2))
train_dataloader = dict(batch_size=8, dataset=dict(num_scenes=16000, indices=list(range(8000, 16000))))
param_scheduler = [_base_.warmup, dict(_base_.poly, end=max_iters)]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
randomness = dict(seed=7)
