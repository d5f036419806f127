# Protocol idc_hard: hard labels, ImageNet subsets at 224x224. From IDC (arXiv 2205.14959), in the form of Minimax (CVPR
# 2024). MGD3 reports results of this protocol; DMGD uses another optimizer, see idc_hard_adamw. Results of different
# protocols are not comparable: report the protocol with them.
# To train on your images, set train_dataloader.dataset.data_root. The values in this file are for 10 classes of 10
# images; `mmdistill evaluate` uses those in by_size for other sizes.
# mmdistill train configs/protocols/idc_hard.py
_base_ = '../_base_/protocols/imagenet.py'

epochs_by_ipc = [(1, 3000), (10, 2000), (50, 1500), (200, 1000), (500, 500), (None, 300)]
protocol = dict(
    id='idc_hard',
    labels='hard',
    ipc=10,
    # (Maximum number of classes, maximum ipc, settings), None: any; the first matching row is used. For exactly 100
    # classes, two thirds of the epochs are used, rounded down to hundreds; for more classes, another optimizer.
    by_size=[
        *[(99, ipc, dict(epochs=epochs)) for ipc, epochs in epochs_by_ipc],
        *[(100, ipc, dict(epochs=2 * epochs // 3 // 100 * 100)) for ipc, epochs in epochs_by_ipc],
        *[(None, ipc, dict(epochs=epochs, lr=0.1, weight_decay=1e-4, batch_size=128)) for ipc, epochs in epochs_by_ipc],
    ],
    milestones=(2 / 3, 5 / 6))
image_size = 224
max_epochs = 2000

train_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    # Pillow's bilinear filter is antialiased, as in the released code; mmpretrain's default, OpenCV's, is not.
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_size, edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_size),
    dict(_scope_='mmpretrain', type='RandomResizedCrop', scale=image_size, crop_ratio_range=(0.5, 1.0)),
    dict(_scope_='mmpretrain', type='RandomFlip', prob=0.5, direction='horizontal'),
    # mmpretrain clips to 0..255 after each of the three changes; the released code does not clip.
    dict(_scope_='mmpretrain', type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    # Only converts to float32: Lighting keeps the type of its input, and 8-bit values would overflow.
    dict(_scope_='mmpretrain', type='Normalize', mean=[0, 0, 0], std=[1, 1, 1], to_rgb=False),
    # AlexNet's PCA noise, with the eigenvalues for [0, 1] times 255 and rows in mmpretrain's channel order B, G, R.
    dict(
        _scope_='mmpretrain',
        type='Lighting',
        eigval=[55.4625, 4.794, 1.1475],
        eigvec=[[-0.5836, -0.6948, 0.4203], [-0.5808, -0.0045, -0.8140], [-0.5675, 0.7192, 0.4009]],
        alphastd=0.1,
        to_rgb=False),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
test_pipeline = [
    dict(_scope_='mmpretrain', type='LoadImageFromFile'),
    # Resized to the crop size; 256 is usual.
    dict(_scope_='mmpretrain', type='ResizeEdge', scale=image_size, edge='short', backend='pillow'),
    dict(_scope_='mmpretrain', type='CenterCrop', crop_size=image_size),
    dict(_scope_='mmpretrain', type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(_base_.train_dataset, pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, dataset=dict(_base_.test_dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[2 * max_epochs // 3, 5 * max_epochs // 6], gamma=0.2)
# The released code evaluates 100 times and reports the best; here, the result is that of the last epoch.
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 10)
