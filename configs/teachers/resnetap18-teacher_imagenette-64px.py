# A teacher for the tiny protocols with soft labels: ResNetAP-18 on the real images of ImageNette at 64 pixels.
# mmdistill train configs/teachers/resnetap18-teacher_imagenette-64px.py
_base_ = '../protocols/rded_nopatch-tiny.py'

protocol = dict(_delete_=True, id='teacher', labels='hard')
model = dict(backbone=dict(depth=18), head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')))
data_preprocessor = dict(batch_augments=None)
