# DMGD by DiT-XL/2 at 256 pixels, at the paper's settings: 50 ancestral steps of DiT's own learned variance, CFG 4,
# K = 10 support points, guidance in the steps 45 to 30 as counted down to 0. A config gives test_dataloader.dataset.
# Other numbers of images per class (20, 50, 100): --cfg-options custom_hooks.0.ipc=50
# One part alone: --cfg-options custom_hooks.1.semantic=None, or custom_hooks.1.objectives=[]
# CFG on the first three latent channels, as in DiT's code: --cfg-options model.generator.cfg_channels=3
# The weights are CC-BY-NC-4.0, not for commercial use. They are fetched from the hub at the first run, or give a
# folder: --cfg-options model.generator.weights=…
_base_ = '../default_runtime.py'

model = dict(
    type='Distiller',
    generator=dict(
        type='ClassConditionalGenerator',
        weights='facebook/DiT-XL-2-256',
        scheduler=dict(
            type='DDPMScheduler', variance_type='learned_range', timestep_spacing='linspace', clip_sample=False),
        image_size=256,
        num_steps=50,
        cfg_scale=4.0,
        dtype='bfloat16',
        micro_batch=10))  # one sample of each of ten classes
test_dataloader = dict(
    batch_size=10,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False))
test_cfg = dict(type='DistillLoop', method='DMGD', seed=0, writer=dict(type='ClassWriter'))
test_evaluator = []
custom_hooks = [
    dict(type='ClassPlanHook', ipc=10),
    dict(
        type='GuidedSynthesisHook',
        semantic=dict(type='SemanticMatching'),
        objectives=[dict(type='TransportMatching', epsilon=0.1, iterations=5)],
        support=dict(n_clusters=10, batch_size=32),
        window=(0.08, 0.4),
        scale=0.1,  # rho, 0.05 to 0.5 in the paper
        through='linear',
        update='prev',
        step='sigma',
        norm='none'),
    dict(type='PreviewHook')
]
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
