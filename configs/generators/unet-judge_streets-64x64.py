# A judge of street scenes that takes no part in guidance: another depth and width, another seed, and scenes that
# neither the guide nor the generator saw. `IoUMetric` on a distilled set says how well its images show their masks.
_base_ = './streets_segmentor.py'
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
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=0.9, eta_min=1e-5, by_epoch=False, begin=20, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
randomness = dict(seed=7)
