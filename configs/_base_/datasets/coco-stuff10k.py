# COCO-Stuff 10k, version 1.1, in the format of its archive: 9 000 / 1 000 images of 171 classes, masks in .mat files.
# If the data are not in data/cocostuff-10k-v1.1: --cfg-options data_root=/path/to/cocostuff-10k-v1.1
data_root = 'data/cocostuff-10k-v1.1'
train_dataset = dict(
    _scope_='mmseg',
    type='mmdistill.COCOStuff',
    form='mat',
    data_root=data_root,
    data_prefix=dict(img_path='images', seg_map_path='annotations'),
    ann_file='imageLists/train.txt',
    pipeline=[])
test_dataset = dict(train_dataset, ann_file='imageLists/test.txt')
