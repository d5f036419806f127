# mmpretrain's ResNet-50, initialised like torchvision's: 23 508 032 parameters and 2 049 per class.
# A student for the protocols: students=dict(name='mmdistill::students/resnet50_224px.py')
_base_ = './resnet18_224px.py'

model = dict(backbone=dict(depth=50), head=dict(in_channels=2048))
