# Protocol fkd_sre2l-tiny (see there), but one soft label per image: the teacher's of the whole image.
# Not comparable with labels of the very crops. The training is mmpretrain's own in all but the loss.
# Once, before the training, to make meta/train.pkl in the set's folder:
# mmdistill label configs/protocols/_labels_/fkd_sre2l-tiny_images.py
# For your images change one key, train_dataloader.dataset.data_root.
# mmdistill train configs/protocols/_labels_/fkd_sre2l-tiny_images.py
# Another teacher's weights: --cfg-options labels.teacher.checkpoint=…
_base_ = ['../fkd_sre2l-tiny.py', '../../_base_/teachers/resnetap18_imagenette-64px.py']

protocol = dict(id='fkd_sre2l-tiny_images')
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
