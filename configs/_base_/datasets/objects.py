# The built-in object pictures: 2 000 images of 10 classes to distil, 1 000 for tests. The generators
# are trained on more pictures.
load_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataset = dict(
    _scope_='mmpretrain', type='mmdistill.ObjectPictures', num_images=2000, split='train', pipeline=load_pipeline)
test_dataset = dict(
    _scope_='mmpretrain', type='mmdistill.ObjectPictures', num_images=1000, split='test', pipeline=load_pipeline)
