# Protocol mmseg_m2f: mmseg's Mask2Former Swin-S on ADE20K at 512x512, unchanged: 160k iterations of 16 images
# however small the training set is, AdamW 1e-4, poly decay, the backbone's ImageNet weights. D3S2's tables are of this
# model; its number of iterations is not known. Numbers of different protocols are not comparable: name this one beside
# yours.
# mmdistill train configs/protocols/mmseg_m2f.py
# For your images change one key, train_dataloader.dataset.data_root. COCO-Stuff 164k has the same network in
# configs/students/mask2former_swin-s_4xb2-80k_coco-stuff164k-512x512.py.
#
# MMEngine finds 'mmseg::' only after mmdistill.registry was imported: mmseg's own train script reads this file, too.
_base_ = __import__('mmdistill.registry') and 'mmseg::mask2former/mask2former_swin-s_8xb2-160k_ade20k-512x512.py'

protocol = dict(id='mmseg_m2f', labels='masks', max_iters=160000)
