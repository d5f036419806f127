# DMGD with all settings of the authors' released code, with DiT-XL/2. A config sets test_dataloader.dataset and the
# class_ids of the generator. docs/methods/dmgd.md lists the differences from dmgd.py and dit-xl2.py, and the remaining
# ones from the released code.
_base_ = ['./dmgd.py', '../generators/dit-xl2.py']

model = dict(generator=dict(cfg_channels=3, dtype='float32'))
guidance = dict(
    _base_.guidance,
    semantic=dict(type='SemanticMatching', compat='released'),
    objectives=[dict(type='TransportMatching', epsilon=0.1, iterations=5, unroll=True)])
custom_hooks = [dict(type='ClassPlanHook', ipc=10), guidance, dict(type='PreviewHook')]
