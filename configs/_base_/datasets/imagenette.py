# ImageNette, 10 classes of ImageNet, as {train,val}/<wnid>/*.JPEG of any size; other folders beside them, such as
# those of the whole ImageNet, do not matter. Elsewhere than in data/imagenette: `IMAGENETTE=/path python tools/….py …`;
# every config that stands on this one reads it, which a --cfg-options key could not reach. Publications take the
# images of ImageNet's own train and val folders (50 test images a class); fastai's archives divide them anew, and
# numbers on those are not comparable.
data_root = '{{$IMAGENETTE:data/imagenette}}'
image_scale = (224, 224)
classes = ('n01440764', 'n02102040', 'n02979186', 'n03000684', 'n03028079', 'n03394916', 'n03417042', 'n03425413',
           'n03445777', 'n03888257')
label_texts = ('tench', 'English springer', 'cassette player', 'chain saw', 'church', 'French horn', 'garbage truck',
               'gas pump', 'golf ball', 'parachute')
imagenet_ids = (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)  # of these classes among ImageNet's 1000
load_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),  # greyscale files come as three channels
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_scale[0], edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_scale),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataset = dict(
    type='mmdistill.ImageNetSubset',
    data_root=data_root,
    split='train',
    classes=classes,
    metainfo=dict(label_texts=label_texts),
    pipeline=load_pipeline)
test_dataset = dict(train_dataset, split='val')
