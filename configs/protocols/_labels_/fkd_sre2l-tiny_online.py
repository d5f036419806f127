# Protocol fkd_sre2l-tiny (see there) with an online teacher, which labels each batch after augmentation and CutMix.
# mmdistill train configs/protocols/_labels_/fkd_sre2l-tiny_online.py
# Another teacher's weights: --cfg-options custom_hooks.OnlineLabelsHook.teacher.checkpoint=…
_base_ = ['../fkd_sre2l-tiny.py', '../../_base_/teachers/resnetap18_imagenette-64px.py']

protocol = dict(labels='online')
custom_hooks = [dict(type='mmdistill.OnlineLabelsHook', teacher=_base_.teacher, temperature=20)]
