# CoDA: in the first 90 % of the steps, the conditional prediction of each image is moved towards a representative real
# latent, before classifier-free guidance. Differences from the paper: see mmdistill.guidance.PointMatching.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='CoDA')
guidance = dict(
    type='GuidedSynthesisHook',
    objectives=[dict(type='PointMatching')],
    support=dict(n_clusters=None, strategy='medoids'),  # one per image of a class
    window=(0, 0.9),
    scale=0.05,  # gamma, for the latents of DiT
    update='conditional',
    step='sigma',
    norm='none')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
