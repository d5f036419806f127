# D3S2 on CamVid: 19 of 367 frames, by the generator and the guide of configs/generators/camvid_{unet,segmentor}.py.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/camvid.py']

model = dict(
    type='Distiller',
    generator=dict(
        type='LayoutUNetGenerator',
        weights='work_dirs/camvid_unet/export',
        scheduler='DPMSolverMultistepScheduler',
        image_size=_base_.image_scale[::-1],
        num_steps=20,
        cfg_scale=1.5,
        micro_batch=4))
test_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=_base_.train_dataset)
test_cfg = dict(type='DistillLoop', method='D3S2', seed=0, writer=dict(type='SegWriter', layout='source'))
test_evaluator = []
selection = dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=0.05))
guidance = dict(
    type='GuidedSynthesisHook',
    segmentor=dict(
        type='SegmentorGuide',
        config='configs/generators/camvid_segmentor.py',
        checkpoint='work_dirs/camvid_segmentor/export/model.safetensors',
        layers=['backbone']),
    objectives=[
        dict(type='SegmentationConsistency', class_weight='balanced'),
        dict(type='ClassFeatureMatching', weight=0.1),
    ],
    window=(0.25, 1.0),
    update='prev',
    scale=0.6)
custom_hooks = [selection, guidance, dict(type='PreviewHook')]
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
