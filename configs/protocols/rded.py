# Protocol rded: soft labels of a teacher that sees every mixed batch, images shuffled in patches, ImageNet at 224x224.
# From RDED (CVPR 2024, arXiv 2312.03526). Results of different protocols are not comparable: report the protocol with
# them.
# Labels: gt_score contains the probabilities of a teacher at temperature 20, computed for each batch after CutMix.
# Without the teacher, mmpretrain trains on one-hot labels, which is another protocol.
# mmdistill train configs/protocols/rded.py
# To train on your images, set train_dataloader.dataset.data_root. The values in this file are for ImageNet-1K with
# 10 images per class; `mmdistill evaluate` uses those in by_size for other sizes.
_base_ = '../_base_/protocols/soft_labels.py'

protocol = dict(
    id='rded',
    labels='soft',
    temperature=20,
    ipc=10,
    # (Maximum number of classes, maximum ipc, settings), None: any; the first matching row is used. The released code
    # has 1, 10 and 50 images per class, 10, 100 and 1000 classes, and double batches from 100 classes.
    by_size=[
        (99, 1, dict(batch_size=10)),
        (99, 10, dict(batch_size=50)),
        (99, None, dict(batch_size=100)),
        (None, 1, dict(batch_size=20)),
        (None, 10, dict(batch_size=100)),
        (None, None, dict(batch_size=200)),
    ])
image_size = 224
max_epochs = 300

train_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    dict(_scope_='mmpretrain', type='mmdistill.ShufflePatches', factor=2),
    # Pillow's bilinear filter is antialiased, as in the released code; mmpretrain's default, OpenCV's, is not.
    dict(
        _scope_='mmpretrain',
        type='RandomResizedCrop',
        scale=image_size,
        crop_ratio_range=(0.5, 1.0),
        backend='pillow'),
    dict(_scope_='mmpretrain', type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataloader = dict(
    batch_size=100,
    dataset=dict(_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(batch_size=100)
test_dataloader = val_dataloader
# Half a cosine: it ends at half the learning rate, not at 0.
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=True, T_max=2 * max_epochs, begin=0, end=max_epochs)
# The released code evaluates in the last fifth and reports the best; here, the result is that of the last epoch.
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 10)
