# ImageNet-100, 10 images per class, with hard labels: D4M, DMGD and random real images.
# The sets: mmdistill distill configs/d4m/d4m_sd15_ipc10_imagenet100-512px.py
#           mmdistill distill configs/dmgd/dmgd_dit-xl2_ipc10_imagenet100-256px.py
# mmdistill evaluate configs/evaluation/idc_hard_ipc10_imagenet100-224px.py
# If the data are not in data/imagenet: --cfg-options data_root=/path/to/imagenet; val is needed here.
_base_ = '../_base_/datasets/imagenet100.py'

protocol = 'idc_hard'
students = dict(
    resnetap10='mmdistill::students/resnetap10_224px.py', convnet6='mmdistill::students/convnet6_224px.py')
training_sets = dict(
    random_real=dict(selector=dict(type='RandomPerClassSelector')),
    d4m=dict(data_root='work_dirs/d4m_sd15_ipc10_imagenet100-512px/distilled'),
    dmgd=dict(data_root='work_dirs/dmgd_dit-xl2_ipc10_imagenet100-256px/distilled'))
ipc = 10
image_sets = 3  # three random draws of real images; three trainings on each distilled set
