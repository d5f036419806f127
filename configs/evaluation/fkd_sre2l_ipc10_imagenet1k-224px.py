# ImageNet-1K, 10 images per class, with the protocol of SRe2L and D4M: every student learns the soft labels of an
# online teacher for 300 epochs. In D4M's paper, ResNet-18 reaches 27.9; on random real images, it reaches about 28.8.
# The sets: mmdistill distill configs/d4m/d4m_sd15_ipc10_imagenet1k-512px.py
#           mmdistill distill configs/dmgd/dmgd_dit-xl2_ipc10_imagenet1k-256px.py
# mmdistill evaluate configs/evaluation/fkd_sre2l_ipc10_imagenet1k-224px.py
# If the data are not in data/imagenet: --cfg-options data_root=/path/to/imagenet; val is needed here. To
# evaluate only one set, in another folder:
# --cfg-options training_sets.dmgd=None training_sets.d4m.data_root=/path/to/distilled
# Another teacher's weights: --cfg-options overrides.custom_hooks.OnlineLabelsHook.teacher.checkpoint=…
_base_ = '../_base_/datasets/imagenet1k.py'

protocol = 'mmdistill::protocols/_labels_/fkd_sre2l_online.py'
students = dict(resnet18='mmdistill::students/resnet18_224px.py')
training_sets = dict(
    random_real=dict(selector=dict(type='RandomPerClassSelector')),
    d4m=dict(data_root='work_dirs/d4m_sd15_ipc10_imagenet1k-512px/distilled'),
    dmgd=dict(data_root='work_dirs/dmgd_dit-xl2_ipc10_imagenet1k-256px/distilled'))
ipc = 10
image_sets = 3  # three random draws of real images; three trainings on each distilled set
