# ResNetAP-10 with instance norm for images above 128 pixels: 4 905 792 parameters and 513 per class.
# A student for the protocols: students=dict(name='mmdistill::students/resnetap10_224px.py')
_base_ = './resnet18_224px.py'

model = dict(
    backbone=dict(_delete_=True, type='mmdistill.ResNetAP', depth=10, stem='large'), head=dict(num_classes=10))
