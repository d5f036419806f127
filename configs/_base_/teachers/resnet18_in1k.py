# mmpretrain's ResNet-18 of ImageNet-1K, and its outputs for the classes of ImageNette: probabilities are over these.
teacher = dict(
    config='resnet18_8xb32_in1k',
    outputs=(0, 217, 482, 491, 497, 566, 569, 571, 574, 701))
