# DMGD with all choices of the authors' released code at once, by DiT-XL/2; a config gives test_dataloader.dataset and the
# generator's class_ids. What differs from dmgd.py and dit-xl2.py, by how much, and what stays different from the
# released code is in docs/methods/dmgd.md.
_base_ = ['./dmgd.py', '../generators/dit-xl2.py']

model = dict(generator=dict(cfg_channels=3, dtype='float32'))
guidance = dict(
    _base_.guidance,
    semantic=dict(type='SemanticMatching', compat='released'),
    objectives=[dict(type='TransportMatching', epsilon=0.1, iterations=5, unroll=True)])
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
