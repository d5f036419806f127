# A second student for CamVid at 256x192, with another architecture than the guiding segmentor: mmseg's Fast-SCNN,
# trained from scratch.
# mmdistill train configs/students/fast-scnn_camvid-256x192.py
_base_ = './unet_camvid-256x192.py'

norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(
        _delete_=True,
        type='FastSCNN',
        downsample_dw_channels=(32, 48),
        global_in_channels=64,
        global_block_channels=(64, 96, 128),
        global_block_strides=(2, 2, 1),
        global_out_channels=128,
        higher_in_channels=64,
        lower_in_channels=128,
        fusion_out_channels=128,
        out_indices=(0, 1, 2),
        norm_cfg=norm_cfg,
        align_corners=False),
    decode_head=dict(
        _delete_=True,
        type='DepthwiseSeparableFCNHead',
        in_channels=128,
        channels=128,
        concat_input=False,
        num_classes=11,
        in_index=-1,
        dropout_ratio=0.0,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=_base_.model.decode_head.loss_decode))
