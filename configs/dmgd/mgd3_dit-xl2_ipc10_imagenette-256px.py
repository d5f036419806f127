# Mode guidance (after MGD3) on ImageNette by DiT-XL/2: each image of a class is drawn to a k-means centre of its own
# in the first half of the steps. DMGD's energy with a one-point target (reconstruction: window and scale are ours).
_base_ = './imagenette_dit.py'
test_cfg = dict(method='MGD3')
custom_hooks = [
    dict(type='ClassPlanHook', ipc=10),
    dict(
        type='GuidedSynthesisHook',
        objectives=[dict(type='TransportMatching', target='own')],
        support=dict(n_clusters=None, batch_size=32),  # as many as images per class
        window=(0.1, 0.5),  # before, x0 is all amplified noise, and so is its gradient
        scale=0.1,
        through='linear',
        update='prev',
        step='sigma',
        norm='none'),
    dict(type='PreviewHook')
]
