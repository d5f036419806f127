# The settings that the protocols with soft labels share (fkd_sre2l, rded): the loss at temperature 20, AdamW, and the
# test images.
_base_ = './imagenet.py'

model = dict(head=dict(loss=dict(_delete_=True, type='mmdistill.TemperatureKLLoss', temperature=20)))
test_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=224),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
val_dataloader = dict(dataset=dict(_base_.test_dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    # No decay of biases and norms, as in the released code.
    paramwise_cfg=dict(flat_decay_mult=0.0))
