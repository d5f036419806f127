# DMGD on ImageNette at 128 pixels by the project's own class-conditional generator: 10 images per class.
# python tools/train.py configs/generators/imagenette_class_unet_cpu.py comes first. One part alone:
# --cfg-options custom_hooks.1.semantic=None (transport) or custom_hooks.1.objectives=[] (semantic).
_base_ = '../d4m/imagenette_class_unet_ipc10.py'
model = dict(generator=dict(strength=1.0, micro_batch=10))  # one sample of each class
test_cfg = dict(method='DMGD')
custom_hooks = [
    dict(type='ClassPlanHook', ipc=10),
    dict(
        type='GuidedSynthesisHook',
        semantic=dict(type='SemanticMatching'),
        objectives=[dict(type='TransportMatching', epsilon=0.1, iterations=5)],
        support=dict(n_clusters=10),
        window=(0.08, 0.4),
        scale=40,  # the paper's 0.05 to 0.5 belongs to DiT's latents and hardly moves these
        through='linear',
        update='prev',
        step='sigma',
        norm='none'),
    dict(type='PreviewHook')
]
