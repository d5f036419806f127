# DDOQ: D4M whose images weigh as much as the clusters that they stand for. A comparison uses the weights where it says
# training_sets = dict(name=dict(data_root=..., weights=True)). They work with every method of classification:
# --cfg-options custom_hooks.ImageWeightsHook.weights.by=nearest needs no prototypes.
_base_ = './d4m.py'

test_cfg = dict(method='DDOQ')
custom_hooks = [
    dict(type='PrototypeHook', ipc=10),
    dict(type='ImageWeightsHook', weights=dict(type='ClusterShares', by='prototype')),
    dict(type='PreviewHook')
]
