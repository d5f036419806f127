# mmpretrain's ResNet-18 of ImageNet-1K. Probabilities are over the classes of the training set, all or some of these.
teacher = dict(
    config='resnet18_8xb32_in1k',
    outputs='imagenet')
