# ImageNet-1K: {train,val}/<wnid>/*.JPEG, or images with meta/{train,val}.txt; Kaggle's ILSVRC/Data/CLS-LOC with its
# flat val folder is read as it is. To distil, val need not be there. The folders have to be those of the 1000 classes.
# The classes' names, with their synonyms, are the label texts.
# Not in data/imagenet? --cfg-options data_root=/path/to/imagenet
_base_ = './imagenet_loading.py'

data_root = 'data/imagenet'
train_dataset = dict(
    _scope_='mmpretrain',
    type='mmdistill.ImageNet1K',
    data_root=data_root,
    split='train',
    pipeline=_base_.load_pipeline)
test_dataset = dict(train_dataset, split='val')
