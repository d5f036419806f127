# Protocol rded_nopatch (see there) with an online teacher, which labels each batch after augmentation and CutMix.
# mmdistill train configs/protocols/_labels_/rded_nopatch_online.py
# Another teacher's weights: --cfg-options custom_hooks.OnlineLabelsHook.teacher.checkpoint=…
_base_ = ['../rded_nopatch.py', '../../_base_/teachers/resnet18_in1k.py']

protocol = dict(labels='online')
custom_hooks = [dict(type='mmdistill.OnlineLabelsHook', teacher=_base_.teacher, temperature=20)]
