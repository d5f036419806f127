# D4M on ImageNette at 128 pixels by the project's own class-conditional generator: 10 images per class.
# python tools/train.py configs/generators/imagenette_class_unet_cpu.py comes first. Another image set: --cfg-options
# test_cfg.seed=1 --work-dir …
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/imagenette.py']

model = dict(
    type='Distiller',
    generator=dict(
        type='ClassConditionalGenerator',
        weights='work_dirs/imagenette_class_unet_cpu/export',
        scheduler=dict(type='DDPMScheduler', variance_type='fixed_small', timestep_spacing='linspace'),
        image_size=128,
        num_steps=50,
        strength=0.7,
        cfg_scale=4.0,
        dtype='bfloat16',
        micro_batch=20))
test_dataloader = dict(
    batch_size=20, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=_base_.train_dataset)
test_cfg = dict(type='DistillLoop', method='D4M', seed=0)
test_evaluator = []
custom_hooks = [dict(type='PrototypeHook', ipc=10), dict(type='PreviewHook')]
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
