# DDOQ: D4M's images, each with a weight: the share of the class's real images in the cluster of its prototype. Students
# use it by training_sets = dict(ddoq=dict(data_root=..., weights=True)) of a comparison, or by
# mmdistill.DistilledDataset(weights=True).
_base_ = './d4m.py'

test_cfg = dict(method='DDOQ')
custom_hooks = [
    dict(type='PrototypeHook', ipc=10),
    dict(type='ImageWeightsHook', weights=dict(type='ClusterShares', by='prototype')),
    dict(type='PreviewHook')
]
