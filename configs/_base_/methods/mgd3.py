# MGD3: each image of a class is moved towards a different mode, a k-means centre, in the first half of the steps.
# Reconstructed from the paper, see mmdistill.guidance.PointMatching.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='MGD3')
guidance = dict(
    type='GuidedSynthesisHook',
    objectives=[dict(type='PointMatching')],
    support=dict(n_clusters=None),  # one per image of a class
    window=(0, 0.5),
    scale=0.1,  # lambda, for the latents of DiT
    update='prev',
    step='sigma',
    norm='none')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
