# Protocol fkd_sre2l (see there) with an online teacher, which labels each batch after augmentation and CutMix.
# mmdistill train configs/protocols/_labels_/fkd_sre2l_online.py
# Another teacher's weights: --cfg-options custom_hooks.OnlineLabelsHook.teacher.checkpoint=…
_base_ = ['../fkd_sre2l.py', '../../_base_/teachers/resnet18_in1k.py']

protocol = dict(labels='online')
custom_hooks = [dict(type='mmdistill.OnlineLabelsHook', teacher=_base_.teacher, temperature=20)]
