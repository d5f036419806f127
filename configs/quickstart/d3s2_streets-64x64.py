# D3S2 on the built-in street scenes: 20 of 2 000, with the built-in weights.
# mmdistill distill configs/quickstart/d3s2_streets-64x64.py
_base_ = ['../_base_/methods/d3s2.py', '../_base_/datasets/streets.py']

model = dict(
    type='Distiller',
    generator=dict(
        type='LayoutUNetGenerator',
        weights='mmdistill://streets',
        scheduler='DPMSolverMultistepScheduler',
        image_size=64,
        num_steps=20,
        cfg_scale=2.0,
        micro_batch=10))
test_dataloader = dict(batch_size=10, dataset=_base_.train_dataset)
guidance = dict(
    _base_.guidance,
    segmentor=dict(
        type='SegmentorGuide',
        config='mmdistill::students/unet_streets-64x64.py',
        checkpoint='mmdistill://streets/segmentor/model.safetensors',
        layers=['backbone']),
    update='prev',
    step='noise',  # the best of the compared settings: docs/results/streets.md
    scale=0.12)
custom_hooks = [_base_.selection, guidance, dict(type='PreviewHook')]
