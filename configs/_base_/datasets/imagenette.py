# ImageNette, 10 classes of ImageNet, as {train,val}/<wnid>/*.JPEG of any size. Other folders, such as those of the
# other ImageNet classes, are ignored. Publications use the images in ImageNet's train and val folders (50 test images
# per class); the archives of fastai have other splits, and results on those are not comparable.
# If the data are not in data/imagenette: --cfg-options data_root=/path/to/imagenette
_base_ = './imagenet_loading.py'

data_root = 'data/imagenette'
classes = ('n01440764', 'n02102040', 'n02979186', 'n03000684', 'n03028079', 'n03394916', 'n03417042', 'n03425413',
           'n03445777', 'n03888257')
label_texts = ('tench', 'English springer', 'cassette player', 'chain saw', 'church', 'French horn', 'garbage truck',
               'gas pump', 'golf ball', 'parachute')
imagenet_ids = (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)  # the ids of these classes in ImageNet-1K
train_dataset = dict(
    _scope_='mmpretrain',
    type='mmdistill.ImageNetSubset',
    data_root=data_root,
    split='train',
    classes=classes,
    metainfo=dict(label_texts=label_texts),
    pipeline=_base_.load_pipeline)
test_dataset = dict(train_dataset, split='val')
