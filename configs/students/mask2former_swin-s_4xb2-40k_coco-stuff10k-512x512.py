# Mask2Former Swin-S on COCO-Stuff 10k in the format of mmseg's converter: ids 1..171, and 0 for ignored pixels. 4 GPUs
# with 2 images each, 40k iterations; the learning rate is that of mmseg for 16 images (auto_scale_lr.enable=True adapts
# it).
# mmdistill train configs/students/mask2former_swin-s_4xb2-40k_coco-stuff10k-512x512.py
# To train on a distilled set, set train_dataloader.dataset.data_root.
_base_ = './mask2former_swin-s_4xb2-80k_coco-stuff164k-512x512.py'

data_root = 'data/coco_stuff10k'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        reduce_zero_label=True,
        data_prefix=dict(img_path='images/train2014', seg_map_path='annotations/train2014')))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        reduce_zero_label=True,
        data_prefix=dict(img_path='images/test2014', seg_map_path='annotations/test2014')))
test_dataloader = val_dataloader

train_cfg = dict(max_iters=40000, val_interval=4000)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=40000, by_epoch=False)]
