# ImageWoof, 10 breeds of dogs of ImageNet, as {train,val}/<wnid>/*.JPEG of any size. Other folders, such as those of
# the other ImageNet classes, are ignored.
# If the data are not in data/imagewoof: --cfg-options data_root=/path/to/imagewoof
_base_ = './imagenet_loading.py'

data_root = 'data/imagewoof'
classes = (
    'n02086240', 'n02087394', 'n02088364', 'n02089973', 'n02093754', 'n02096294', 'n02099601', 'n02105641',
    'n02111889', 'n02115641')
label_texts = (
    'Shih-Tzu', 'Rhodesian ridgeback', 'beagle', 'English foxhound', 'Border terrier', 'Australian terrier',
    'golden retriever', 'Old English sheepdog', 'Samoyed', 'dingo')
imagenet_ids = (155, 159, 162, 167, 182, 193, 207, 229, 258, 273)  # the ids of these classes in ImageNet-1K
train_dataset = dict(
    _scope_='mmpretrain',
    type='mmdistill.ImageNetSubset',
    data_root=data_root,
    split='train',
    classes=classes,
    metainfo=dict(label_texts=label_texts),
    pipeline=_base_.load_pipeline)
test_dataset = dict(train_dataset, split='val')
