# Protocol fkd_sre2l-tiny (see there) with stored soft labels for the crop, flip and CutMix of each image in each epoch.
# CutMix draws a box and a partner from the whole set for each image; mmpretrain draws one box per batch.
# Run once before the training: mmdistill label configs/protocols/_labels_/fkd_sre2l-tiny_replayed.py
# To train on your images, set train_dataloader.dataset.dataset.data_root and train_dataloader.dataset.store.
# mmdistill train configs/protocols/_labels_/fkd_sre2l-tiny_replayed.py
# Another teacher's weights: --cfg-options labels.teacher.checkpoint=…
_base_ = ['../fkd_sre2l-tiny.py', '../../_base_/teachers/resnetap18_imagenette-64px.py']

protocol = dict(labels='replayed')
data_preprocessor = dict(batch_augments=None)  # the stored views are already mixed
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        _scope_='mmpretrain',
        type='mmdistill.ReplayedViews',
        dataset=dict(_base_.train_dataset, pipeline=_base_.train_pipeline),
        store='work_dirs/labels/fkd_sre2l-tiny',
        temperature=20))
custom_hooks = [dict(type='mmdistill.ReplayedLabelsHook')]
labels = dict(teacher=_base_.teacher, top_k=None)  # all 10 logits, which need less space than the top 10 with ids
