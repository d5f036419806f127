# Mask2Former Swin-S on COCO-Stuff 164k; mmseg's is for ADE20K only. 4 GPUs with 2 images each, 80k iterations; the
# learning rate is that of mmseg for 16 images (auto_scale_lr.enable=True adapts it).
# mmdistill train configs/students/mask2former_swin-s_4xb2-80k_coco-stuff164k-512x512.py
# To train on a distilled set, set train_dataloader.dataset.data_root.
#
# mmdistill.registry is imported so that MMEngine finds 'mmseg::' when mmseg's train script reads this file.
_base_ = __import__('mmdistill.registry') and 'mmseg::mask2former/mask2former_swin-s_8xb2-160k_ade20k-512x512.py'

num_classes = 171
model = dict(
    decode_head=dict(num_classes=num_classes, loss_cls=dict(class_weight=[1.0] * num_classes + [0.1])))

dataset_type = 'COCOStuffDataset'
data_root = 'data/coco_stuff164k'
# The ADE20K pipelines shift the ids by one; those of COCO-Stuff 164k are train ids.
train_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    *_base_.train_pipeline[2:],
]
test_pipeline = [
    dict(_scope_='mmseg', type='LoadImageFromFile'),
    dict(_scope_='mmseg', type='Resize', scale=(2048, 512), keep_ratio=True),
    dict(_scope_='mmseg', type='LoadAnnotations'),
    dict(_scope_='mmseg', type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/train2017', seg_map_path='annotations/train2017'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/val2017', seg_map_path='annotations/val2017'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_iters=80000)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=80000, by_epoch=False)]
