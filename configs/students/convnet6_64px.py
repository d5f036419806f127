# ConvNet-6 with instance norm at 64x64, where one pixel is left. (The literature's ConvNet for 64 pixels has depth 4.)
# A network for the protocols: students=dict(name='mmdistill::students/convnet6_64px.py')
_base_ = './convnet6_224px.py'
model = dict(head=dict(in_channels=128))
