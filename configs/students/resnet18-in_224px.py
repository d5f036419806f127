# The host's ResNet-18 with instance norm: 11 176 512 parameters and 513 a class.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='IN', affine=True),
        zero_init_residual=False),  # as in the literature; the host's default starts each block as the identity
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=512,
        init_cfg=None,  # PyTorch's own, as in the literature; the host's is a normal one
        loss=dict(type='CrossEntropyLoss')))
