# Mode guidance (after MGD3) by the same generator: each image is drawn to a k-means centre of its own. See
# imagenette_dit_modes.py.
_base_ = './imagenette_class_unet.py'
test_cfg = dict(method='MGD3')
custom_hooks = [
    dict(type='ClassPlanHook', ipc=10),
    dict(
        type='GuidedSynthesisHook',
        objectives=[dict(type='TransportMatching', target='own')],
        support=dict(n_clusters=None),
        window=(0.1, 0.5),
        scale=5,
        through='linear',
        update='prev',
        step='sigma',
        norm='none'),
    dict(type='PreviewHook')
]
