# mmpretrain's ResNet-18, initialised like torchvision's, the student of SRe2L, RDED and D4M on ImageNet-1K: 11 176 512
# parameters and 513 per class.
# A student for the protocols: students=dict(name='mmdistill::students/resnet18_224px.py')
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, zero_init_residual=False),  # mmpretrain's default is True
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=512,
        init_cfg=None,  # PyTorch's default, as in the literature; mmpretrain uses a normal distribution
        loss=dict(type='CrossEntropyLoss')))
