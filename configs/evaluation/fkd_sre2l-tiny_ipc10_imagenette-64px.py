# idc_hard-tiny_ipc10_imagenette-64px.py with training-time matching: every student learns the soft labels of an online
# teacher. A tenth of fkd_sre2l's schedule would be 60 steps with 10 images per class; this is half of it, 300 steps.
# mmdistill train configs/teachers/resnetap18-teacher_imagenette-64px.py
# mmdistill evaluate configs/evaluation/fkd_sre2l-tiny_ipc10_imagenette-64px.py
# Another teacher's weights: --cfg-options overrides.custom_hooks.OnlineLabelsHook.teacher.checkpoint=…
_base_ = './idc_hard-tiny_ipc10_imagenette-64px.py'

protocol = 'mmdistill::protocols/_labels_/fkd_sre2l-tiny_online.py'
students = dict(_delete_=True, resnetap10='mmdistill::students/resnetap10_64px.py')
epochs = 150
