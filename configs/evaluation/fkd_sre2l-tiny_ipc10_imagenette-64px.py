# imagenette_ipc10.py with training-time matching: every student learns a teacher's labels of its views, online.
# python tools/train.py configs/teachers/imagenette_64px.py comes first. A tenth of fkd_sre2l's schedule would be 60
# steps at 10 images a class; this is half of it, 300.
_base_ = './imagenette_ipc10.py'

protocol = 'mmdistill::protocols/_labels_/fkd_sre2l-tiny_online.py'
students = dict(_delete_=True, resnetap10='mmdistill::students/resnetap10_64px.py')
epochs = 150
