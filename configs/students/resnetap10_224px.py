# ResNetAP-10 with instance norm for images above 128 pixels: 4 905 792 parameters and 513 a class.
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmdistill.ResNetAP', depth=10, stem='large'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=512,
        init_cfg=None,  # PyTorch's own, as in the literature; the host's is a normal one
        loss=dict(type='CrossEntropyLoss')))
