# ResNetAP-10 with instance norm for 64 pixels on a CPU. It has the literature's stem for 65 to 128 pixels, since the
# stem for 64 pixels (`small`) has no pooling and costs four times as much.
# A student for the protocols: students=dict(name='mmdistill::students/resnetap10_64px.py')
_base_ = './resnetap10_224px.py'
model = dict(backbone=dict(stem='mid'))
