# DMGD: semantic matching of the condition, and transport of a class's images towards its support points. K = 10
# support points and guidance in the steps 45 to 30, counted down to 0, as in the paper.
# Other numbers of images per class: --cfg-options custom_hooks.ClassPlanHook.ipc=50
# One of the two parts: --cfg-options custom_hooks.GuidedSynthesisHook.semantic=None (transport)
#                   or: --cfg-options custom_hooks.GuidedSynthesisHook.objectives=[] (semantic matching)
_base_ = '../distill_runtime.py'

test_cfg = dict(method='DMGD')
guidance = dict(
    type='GuidedSynthesisHook',
    semantic=dict(type='SemanticMatching'),
    objectives=[dict(type='TransportMatching', epsilon=0.1, iterations=5)],
    support=dict(n_clusters=10),
    window=(0.08, 0.4),
    scale=0.1,  # rho, 0.05 to 0.5 in the paper, for the latents of DiT
    through='linear',
    update='prev',
    step='sigma',
    norm='none')
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
