# DDOQ: D4M with image weights proportional to the sizes of the clusters. A comparison uses the weights with
# training_sets = dict(name=dict(data_root=..., weights=True)). They work with every classification method;
# --cfg-options custom_hooks.ImageWeightsHook.weights.by=nearest needs no prototypes.
_base_ = './d4m.py'

test_cfg = dict(method='DDOQ')
custom_hooks = [
    dict(type='PrototypeHook', ipc=10),
    dict(type='ImageWeightsHook', weights=dict(type='ClusterShares', by='prototype')),
    dict(type='PreviewHook')
]
