# The comparison of `make quickstart`: 1 % of the street scenes, distilled, random, and the real images of the selected
# masks.
# Afterwards: mmdistill evaluate configs/evaluation/unet_1p_streets-64x64.py
_base_ = ['../_base_/datasets/streets.py']

protocol = 'mmdistill::students/unet_streets-64x64.py'
training_sets = dict(
    distilled=dict(data_root='work_dirs/quickstart/distilled'),
    random_real=dict(selector=dict(type='RandomSelector')),
    selected_real=dict(source_of='distilled'))
budget = 0.01
image_sets = 1
trainings = 1
encoder = dict(type='LatentEncoder', vae='mmdistill://streets', image_size=64, crop=False)
