# A teacher for the tiny protocols with soft labels: ResNetAP-18 on the real images of ImageNette at 64 pixels.
# python tools/train.py configs/teachers/imagenette_64px.py
_base_ = '../protocols/rded_nopatch-tiny.py'
protocol = dict(_delete_=True, id='teacher', labels='hard')
model = dict(backbone=dict(depth=18), head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')))
data_preprocessor = dict(batch_augments=None)
