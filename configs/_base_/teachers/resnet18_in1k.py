# mmpretrain's ResNet-18 of ImageNet-1K. The probabilities are restricted to the classes of the training set.
teacher = dict(
    config='resnet18_8xb32_in1k',
    outputs='imagenet')
