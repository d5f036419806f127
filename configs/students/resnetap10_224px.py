# ResNetAP-10 with instance norm for images above 128 pixels: 4 905 792 parameters and 513 per class.
# A network for the protocols: students=dict(name='mmdistill::students/resnetap10_224px.py')
model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    backbone=dict(type='mmdistill.ResNetAP', depth=10, stem='large'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=512,
        init_cfg=None,  # PyTorch's own, as in the literature; mmpretrain's is a normal one
        loss=dict(type='CrossEntropyLoss')))
