# How images of ImageNet are read where a dataset is distilled: the short edge to 224, and the centre.
image_scale = (224, 224)
load_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),  # greyscale files come as three channels
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_scale[0], edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_scale),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
