# The comparison of `make quickstart` on object pictures, 10 per class: sets distilled by D4M, by DMGD and by the same
# generator without either, random real images, and real images selected by herding. After `make quickstart`:
# mmdistill evaluate configs/evaluation/convnet4_ipc10_objects-64px.py
_base_ = ['../_base_/datasets/objects.py']

protocol = 'mmdistill::students/convnet4_objects-64px.py'
training_sets = dict(
    d4m=dict(data_root='work_dirs/quickstart/objects/d4m/distilled'),
    dmgd=dict(data_root='work_dirs/quickstart/objects/dmgd/distilled'),
    unguided=dict(data_root='work_dirs/quickstart/objects/unguided/distilled'),
    random_real=dict(selector=dict(type='RandomPerClassSelector')),
    herding_real=dict(selector=dict(type='HerdingSelector', per_class=True)))
ipc = 10
image_sets = 1
trainings = 1
encoder = dict(type='LatentEncoder', vae='mmdistill://objects', image_size=64)
