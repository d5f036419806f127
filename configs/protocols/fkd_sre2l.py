# Protocol fkd_sre2l: soft labels stored for every crop, ImageNet at 224x224. From FKD (arXiv 2112.01528) and SRe2L
# (NeurIPS 2023), with the settings of D4M (CVPR 2024). Results of different protocols are not comparable:
# report the protocol with them.
# Labels: gt_score contains the probabilities of a teacher at temperature 20. The protocol has labels for the crop, flip
# and CutMix of each image in each epoch. Without them, mmpretrain trains on one-hot labels, which is another protocol.
# mmdistill train configs/protocols/fkd_sre2l.py
# To train on your images, set train_dataloader.dataset.data_root.
_base_ = '../_base_/protocols/soft_labels.py'

protocol = dict(id='fkd_sre2l', labels='soft', temperature=20)
image_size = 224
max_epochs = 300

train_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    # Pillow's bilinear filter is antialiased, as in the released code; mmpretrain's default, OpenCV's, is not.
    dict(
        _scope_='mmpretrain',
        type='RandomResizedCrop',
        scale=image_size,
        crop_ratio_range=(0.08, 1.0),
        backend='pillow'),
    dict(_scope_='mmpretrain', type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataloader = dict(batch_size=1024, dataset=dict(_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(batch_size=256)
test_dataloader = val_dataloader
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=True, T_max=max_epochs, begin=0, end=max_epochs)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 10)
