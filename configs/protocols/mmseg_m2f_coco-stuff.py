# Protocol mmseg_m2f_coco-stuff: mmseg_m2f's network and schedule (160k iterations of 16 images, AdamW 1e-4, poly decay)
# for COCO-Stuff's 171 classes, 164k or 10k, in any format of the masks, which the dataset decodes. Results are
# comparable only with others of this protocol and dataset.
# mmdistill train configs/protocols/mmseg_m2f_coco-stuff.py
# To train on your images, set train_dataloader.dataset.data_root.
_base_ = '../students/mask2former_swin-s_4xb2-80k_coco-stuff164k-512x512.py'

train_cfg = dict(max_iters=160000)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=160000, by_epoch=False)]
protocol = dict(id='mmseg_m2f_coco-stuff', labels='masks', max_iters=160000)
