# Protocol fkd_sre2l (see there), but with one soft label per image, which the teacher gives to the uncropped image.
# Not comparable with one label per crop. Except for the loss, the training is that of mmpretrain.
# Run once before the training; it writes meta/train.pkl into the folder of the set:
# mmdistill label configs/protocols/_labels_/fkd_sre2l_images.py
# To train on your images, set train_dataloader.dataset.data_root.
# mmdistill train configs/protocols/_labels_/fkd_sre2l_images.py
# Another teacher's weights: --cfg-options labels.teacher.checkpoint=…
_base_ = ['../fkd_sre2l.py', '../../_base_/teachers/resnet18_in1k.py']

protocol = dict(id='fkd_sre2l_images')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        _scope_='mmpretrain',
        type='BaseDataset',
        data_root=_base_.data_root,
        ann_file='meta/train.pkl',
        data_prefix='train',
        pipeline=_base_.train_pipeline))
labels = dict(
    teacher=_base_.teacher, temperature=20, dataset=dict(_base_.train_dataset, pipeline=_base_.test_pipeline))
