# Protocol mmseg_m2f: mmseg's Mask2Former Swin-S on ADE20K at 512x512, unchanged: 160k iterations of 16 images for a
# training set of any size, AdamW 1e-4, poly decay, the backbone's ImageNet weights. D3S2 reports results of this model,
# but not its number of iterations. Results of different protocols are not comparable: report the protocol with them.
# mmdistill train configs/protocols/mmseg_m2f.py
# To train on your images, set train_dataloader.dataset.data_root. COCO-Stuff 164k has the same network in
# configs/students/mask2former_swin-s_4xb2-80k_coco-stuff164k-512x512.py.
#
# mmdistill.registry is imported so that MMEngine finds 'mmseg::' when mmseg's train script reads this file.
_base_ = __import__('mmdistill.registry') and 'mmseg::mask2former/mask2former_swin-s_8xb2-160k_ade20k-512x512.py'

protocol = dict(id='mmseg_m2f', labels='masks', max_iters=160000)
