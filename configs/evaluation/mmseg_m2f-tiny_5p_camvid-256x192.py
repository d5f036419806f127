# CamVid at 5 %: D3S2 and its baselines, two students, three seeds, after configs/d3s2/*_camvid-256x192.py.
# mmdistill evaluate configs/evaluation/mmseg_m2f-tiny_5p_camvid-256x192.py
# If the data are not in data/camvid: --cfg-options data_root=/path/to/camvid; weights of TAESD on disk:
# encoder.vae=/path/to/taesd
_base_ = ['../_base_/datasets/camvid.py']

protocol = 'mmseg_m2f-tiny'
students = dict(unet=None, fast_scnn='mmdistill::students/fast-scnn_camvid-256x192.py')
training_sets = dict(
    distilled=dict(data_root='work_dirs/d3s2_layout-unet_5p_camvid-256x192/distilled'),
    unguided=dict(data_root='work_dirs/unguided_layout-unet_5p_camvid-256x192/distilled'),
    selected_real=dict(source_of='distilled'),
    random_real=dict(selector=dict(type='RandomSelector')),
    class_balanced_real=dict(selector=dict(type='UniformPerClassSelector')))
budget = 0.05
image_sets = 3
trainings = 1
encoder = dict(type='LatentEncoder', vae='madebyollin/taesd', image_size=(192, 256), crop=False, pool=6)
