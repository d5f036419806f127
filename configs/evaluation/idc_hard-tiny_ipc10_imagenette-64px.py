# ImageNette, 10 images per class, at 64 pixels: D4M, DMGD, mode guidance and no guidance with the same small generator,
# and real images. Three image sets each, distilled with test_cfg.seed = 0, 1, 2; the commands are in
# docs/results/imagenette.md.
# mmdistill evaluate configs/evaluation/idc_hard-tiny_ipc10_imagenette-64px.py
# If the data are not in data/imagenette: --cfg-options data_root=/path/to/imagenette; weights of TAESD on disk:
# encoder.vae=… bfloat16 halves a training's time on a CPU that has it; elsewhere: --cfg-options overrides=None
_base_ = ['../_base_/datasets/imagenette.py']

protocol = 'idc_hard-tiny'
students = dict(
    resnetap10='mmdistill::students/resnetap10_64px.py', convnet6='mmdistill::students/convnet6_64px.py')
training_sets = dict(
    random_real=dict(selector=dict(type='RandomPerClassSelector')),
    herding_real=dict(selector=dict(type='HerdingSelector', per_class=True)),
    k_center_real=dict(selector=dict(type='FeatureKCenterSelector', per_class=True)),
    unguided=dict(data_root=[f'work_dirs/imagenette_unguided_{seed}/distilled' for seed in range(3)]),
    d4m=dict(data_root=[f'work_dirs/imagenette_d4m_{seed}/distilled' for seed in range(3)]),
    semantic=dict(data_root=[f'work_dirs/imagenette_semantic_{seed}/distilled' for seed in range(3)]),
    transport=dict(data_root=[f'work_dirs/imagenette_transport_{seed}/distilled' for seed in range(3)]),
    dmgd=dict(data_root=[f'work_dirs/imagenette_dmgd_{seed}/distilled' for seed in range(3)]),
    modes=dict(data_root=[f'work_dirs/imagenette_modes_{seed}/distilled' for seed in range(3)]))
ipc = 10
image_sets = 3
trainings = 1
overrides = dict(optim_wrapper=dict(type='mmdistill.BFloat16OptimWrapper'))
encoder = dict(type='LatentEncoder', vae='madebyollin/taesd', image_size=64)
