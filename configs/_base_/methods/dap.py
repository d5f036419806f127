# DAP: the inner features of the generator for an image are moved towards the mean features of real latents at the same
# noise level. Differences from the paper: see mmdistill.guidance.FeatureAlignment.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='DAP')
guidance = dict(
    type='GuidedSynthesisHook',
    objectives=[dict(type='FeatureAlignment', blocks=(4, 12))],  # of DiT's 28; None for a UNet's middle block
    support=dict(n_clusters=32, strategy='density'),  # real latents of each class
    window=(0, 1),
    scale=1.0,  # gamma, 0.5 to 1 in the paper
    update='prev',
    norm='none')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
