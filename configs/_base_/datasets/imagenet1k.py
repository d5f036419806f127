# ImageNet-1K as mmpretrain reads it: {train,val}/<wnid>/*.JPEG, or images with meta/{train,val}.txt. The classes'
# names, with their synonyms, are the label texts. Not in data/imagenet? --cfg-options data_root=/path/to/imagenet
_base_ = './imagenet_loading.py'

data_root = 'data/imagenet'
train_dataset = dict(
    _scope_='mmpretrain', type='mmpretrain.ImageNet', data_root=data_root, split='train', pipeline=_base_.load_pipeline)
test_dataset = dict(train_dataset, split='val')
