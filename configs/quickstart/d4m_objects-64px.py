# D4M on the built-in object pictures: 10 images a class in place of 200, with the built-in weights.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/objects.py']

model = dict(
    type='Distiller',
    generator=dict(
        type='ClassConditionalGenerator',
        weights='mmdistill://objects',
        scheduler='DPMSolverMultistepScheduler',
        num_steps=20,
        strength=0.7,
        cfg_scale=2.0,
        micro_batch=10))
test_dataloader = dict(
    batch_size=10,
    num_workers=2,  # draw the pictures that the autoencoder encodes
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=_base_.train_dataset)
test_cfg = dict(type='DistillLoop', method='D4M', seed=0, writer=dict(type='ClassWriter'))
test_evaluator = []
custom_hooks = [dict(type='PrototypeHook', ipc=10), dict(type='PreviewHook')]
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
