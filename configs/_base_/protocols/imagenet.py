# The settings that the classification protocols share: ImageNette, ResNetAP-10, CutMix on every batch, training by
# epochs.
_base_ = ['../students/mmpretrain.py', '../datasets/imagenette.py', '../../students/resnetap10_224px.py']

data_preprocessor = dict(batch_augments=dict(augments=[dict(type='CutMix', alpha=1.0)]))
train_dataloader = dict(num_workers=4, persistent_workers=True, sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(num_workers=4, persistent_workers=True)
test_dataloader = val_dataloader
train_cfg = dict(type='EpochBasedTrainLoop')
default_hooks = dict(logger=dict(log_metric_by_epoch=True), checkpoint=dict(by_epoch=True))
log_processor = dict(by_epoch=True)
