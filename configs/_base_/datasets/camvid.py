# CamVid at 256x192: 367 / 101 / 233 frames of 11 classes, as images/{train,val,test}/*.jpg and annotations/{…}/*.png.
# If the data are not in data/camvid: --cfg-options data_root=/path/to/camvid
data_root = 'data/camvid'
image_scale = (256, 192)
load_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='Resize', scale=image_scale, keep_ratio=False),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
train_dataset = dict(
    _scope_='mmseg',
    type='mmseg.BaseSegDataset',
    data_root=data_root,
    data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
    img_suffix='.jpg',
    seg_map_suffix='.png',
    reduce_zero_label=False,
    metainfo=dict(
        classes=('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'signsymbol', 'fence', 'car', 'pedestrian',
                 'bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222], [128, 128, 0],
                 [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192]]),
    pipeline=load_pipeline)
val_dataset = dict(train_dataset, data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'))
test_dataset = dict(train_dataset, data_prefix=dict(img_path='images/test', seg_map_path='annotations/test'))
