# Pipeline that reads images of ImageNet for distillation: resize the short edge to 224, centre crop.
image_scale = (224, 224)
load_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),  # greyscale files are read as three channels
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_scale[0], edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_scale),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
