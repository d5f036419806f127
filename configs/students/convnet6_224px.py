# ConvNet-6 with instance norm at 224x224: 743 040 parameters and 1 153 per class.
# A student for the protocols: students=dict(name='mmdistill::students/convnet6_224px.py')
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(type='mmdistill.ConvNet', depth=6),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=128 * 3 * 3,  # 224 pixels, halved 6 times
        init_cfg=None,  # PyTorch's default, as in the literature; mmpretrain uses a normal distribution
        loss=dict(type='CrossEntropyLoss')))
