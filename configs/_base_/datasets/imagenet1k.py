# ImageNet-1K: {train,val}/<wnid>/*.JPEG, or images with meta/{train,val}.txt; Kaggle's ILSVRC/Data/CLS-LOC with its
# flat val folder also works. Distillation does not need val. All 1000 class folders must exist. The class names with
# their synonyms are the label texts.
# If the data are not in data/imagenet: --cfg-options data_root=/path/to/imagenet
_base_ = './imagenet_loading.py'

data_root = 'data/imagenet'
train_dataset = dict(
    _scope_='mmpretrain',
    type='mmdistill.ImageNet1K',
    data_root=data_root,
    split='train',
    pipeline=_base_.load_pipeline)
test_dataset = dict(train_dataset, split='val')
