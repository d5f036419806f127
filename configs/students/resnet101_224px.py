# mmpretrain's ResNet-101, initialised like torchvision's: 42 500 160 parameters and 2 049 per class.
# A student for the protocols: students=dict(name='mmdistill::students/resnet101_224px.py')
_base_ = './resnet18_224px.py'

model = dict(backbone=dict(depth=101), head=dict(in_channels=2048))
