# Mode guidance after MGD3: each image of a class is drawn to a k-means centre of its own in the first half of the
# steps. It is DMGD's energy with a target of one point. A reconstruction: window and scale are ours.
_base_ = './dmgd.py'

test_cfg = dict(method='MGD3')
guidance = dict(
    _base_.guidance,
    semantic=None,
    objectives=[dict(type='TransportMatching', target='own')],
    support=dict(n_clusters=None),  # one per image of a class in the plan
    window=(0.1, 0.5))  # before, x0 is all amplified noise, and so is its gradient
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
