# DMGD on the built-in object pictures: d4m_objects.py's generator, with both parts of the guidance and no prototype.
_base_ = './d4m_objects.py'
model = dict(
    generator=dict(
        scheduler=dict(
            _delete_=True, type='DDPMScheduler', variance_type='fixed_small', timestep_spacing='linspace'),
        num_steps=25))
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
