# COCO-Stuff 164k: 118 287 / 5 000 images of 171 classes, with the pixel maps of stuffthingmaps_trainval2017.zip in
# annotations/{train,val}2017; for other formats of the masks see docs/coco_stuff.md.
# If the data are not in data/coco_stuff164k: --cfg-options data_root=/path/to/coco_stuff164k
data_root = 'data/coco_stuff164k'
train_dataset = dict(
    _scope_='mmseg',
    type='mmdistill.COCOStuff',
    data_root=data_root,
    data_prefix=dict(img_path='images/train2017', seg_map_path='annotations/train2017'),
    pipeline=[])
test_dataset = dict(train_dataset, data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017'))
