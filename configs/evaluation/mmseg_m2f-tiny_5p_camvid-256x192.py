# CamVid at 5 %, D3S2 and its baselines, two students, three seeds; `tools/distill.py` has made the two distilled sets.
_base_ = ['../_base_/datasets/camvid.py']

protocol = 'mmseg_m2f-tiny'
students = dict(unet=None, fast_scnn='mmdistill::students/fastscnn_camvid.py')
training_sets = dict(
    distilled=dict(data_root='work_dirs/camvid_5p/distilled'),
    unguided=dict(data_root='work_dirs/camvid_5p_unguided/distilled'),
    selected_real=dict(source_of='distilled'),
    random_real=dict(selector=dict(type='RandomSelector')),
    class_balanced_real=dict(selector=dict(type='UniformPerClassSelector')))
budget = 0.05
image_sets = 3
trainings = 1
encoder = dict(type='LatentEncoder', vae='{{$TAESD:madebyollin/taesd}}', image_size=(192, 256), crop=False, pool=6)
