# ADE20K as mmseg reads it: 20 210 / 2 000 images of 150 classes.
# If the data are not in data/ade/ADEChallengeData2016: --cfg-options data_root=/path/to/ADEChallengeData2016
data_root = 'data/ade/ADEChallengeData2016'
train_dataset = dict(
    _scope_='mmseg',
    type='ADE20KDataset',
    data_root=data_root,
    data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
    pipeline=[])
test_dataset = dict(
    train_dataset, data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'))
