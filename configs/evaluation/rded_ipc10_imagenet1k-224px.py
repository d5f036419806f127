# ImageNet-1K, 10 images per class, with the protocol of RDED: an online teacher, 300 epochs, ResNet-18. Published: DMGD
# 46.3, MGD3 45.6, RDED 42.0.
# The sets and paths: see fkd_sre2l_ipc10_imagenet1k-224px.py. Without ShufflePatches, for images that are not collages:
# --cfg-options protocol=mmdistill::protocols/_labels_/rded_nopatch_online.py
# mmdistill evaluate configs/evaluation/rded_ipc10_imagenet1k-224px.py
_base_ = './fkd_sre2l_ipc10_imagenet1k-224px.py'

protocol = 'mmdistill::protocols/_labels_/rded_online.py'
