# Protocol rded_nopatch-tiny (see there) with an online teacher, which labels each batch after CutMix.
# mmdistill train configs/protocols/_labels_/rded_nopatch-tiny_online.py
# Another teacher's weights: --cfg-options custom_hooks.OnlineLabelsHook.teacher.checkpoint=…
_base_ = ['../rded_nopatch-tiny.py', '../../_base_/teachers/resnetap18_imagenette-64px.py']

protocol = dict(labels='online')
custom_hooks = [dict(type='mmdistill.OnlineLabelsHook', teacher=_base_.teacher, temperature=20)]
