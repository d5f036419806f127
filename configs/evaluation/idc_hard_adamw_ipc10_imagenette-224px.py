# ImageNette, 10 images per class, by the protocol of DMGD's tables: AdamW, five trainings of one image set. Published:
# 68.4 for DMGD with ResNetAP-10.
# The sets: mmdistill distill configs/dmgd/dmgd_dit-xl2_ipc10_imagenette-256px.py
#           mmdistill distill configs/dmgd/dmgd_dit-xl2_ipc10_imagenette-256px_released.py
# mmdistill evaluate configs/evaluation/idc_hard_adamw_ipc10_imagenette-224px.py
# If the data are not in data/imagenette: --cfg-options data_root=/path/to/imagenette
_base_ = '../_base_/datasets/imagenette.py'

protocol = 'idc_hard_adamw'
students = dict(
    resnetap10='mmdistill::students/resnetap10_224px.py', convnet6='mmdistill::students/convnet6_224px.py')
training_sets = dict(
    random_real=dict(selector=dict(type='RandomPerClassSelector')),
    dmgd=dict(data_root='work_dirs/dmgd_dit-xl2_ipc10_imagenette-256px/distilled'),
    dmgd_released=dict(data_root='work_dirs/dmgd_dit-xl2_ipc10_imagenette-256px_released/distilled'))
ipc = 10
image_sets = 1
trainings = 5
