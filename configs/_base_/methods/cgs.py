# CGS: all images of a class are denoised together. A determinantal kernel makes them diverse, and their mean is moved
# towards the mean of the real latents. Differences from the paper: see mmdistill.guidance.SetMatching.
_base_ = '../distill_runtime.py'

test_cfg = dict(method='CGS')
guidance = dict(
    type='GuidedSynthesisHook',
    objectives=[dict(type='SetMatching')],
    support=dict(n_clusters=1),  # the mean of the class
    window=(0, 1),
    scale=100,  # eta, 30 to 300 in the paper
    update='prev',
    norm='none')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
