# ImageNet-1K, 10 images per class, with hard labels.
# The sets and paths: see fkd_sre2l_ipc10_imagenet1k-224px.py.
# mmdistill evaluate configs/evaluation/idc_hard_ipc10_imagenet1k-224px.py
_base_ = './fkd_sre2l_ipc10_imagenet1k-224px.py'

protocol = 'idc_hard'
students = dict(
    _delete_=True,
    resnetap10='mmdistill::students/resnetap10_224px.py',
    resnet18_in='mmdistill::students/resnet18-in_224px.py')
