# ImageWoof, 10 breeds of dogs of ImageNet, as {train,val}/<wnid>/*.JPEG of any size; other folders beside them, such
# as those of the whole ImageNet, do not matter. Elsewhere than in data/imagewoof: `IMAGEWOOF=/path python …`.
data_root = '{{$IMAGEWOOF:data/imagewoof}}'
image_scale = (224, 224)
classes = (
    'n02086240', 'n02087394', 'n02088364', 'n02089973', 'n02093754', 'n02096294', 'n02099601', 'n02105641',
    'n02111889', 'n02115641')
label_texts = (
    'Shih-Tzu', 'Rhodesian ridgeback', 'beagle', 'English foxhound', 'Border terrier', 'Australian terrier',
    'golden retriever', 'Old English sheepdog', 'Samoyed', 'dingo')
imagenet_ids = (155, 159, 162, 167, 182, 193, 207, 229, 258, 273)  # of these classes among ImageNet's 1000
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
