# ConvNet-6 with instance norm at 64x64, where its last feature map has one pixel. (In the literature, the ConvNet for
# 64 pixels has depth 4.)
# A student for the protocols: students=dict(name='mmdistill::students/convnet6_64px.py')
_base_ = './convnet6_224px.py'
model = dict(head=dict(in_channels=128))
