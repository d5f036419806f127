# mmpretrain's ResNet-18 with instance norm: 11 176 512 parameters and 513 per class.
# A student for the protocols: students=dict(name='mmdistill::students/resnet18-in_224px.py')
_base_ = './resnetap10_224px.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        norm_cfg=dict(type='IN', affine=True),
        zero_init_residual=False))  # as in the literature; mmpretrain's default starts each block as the identity
