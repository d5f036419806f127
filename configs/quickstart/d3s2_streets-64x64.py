# D3S2 on the built-in street scenes: 20 of 2 000, with the built-in weights.
_base_ = ['../_base_/default_runtime.py', '../_base_/datasets/streets.py']

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
test_dataloader = dict(
    batch_size=10,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=_base_.train_dataset)
test_cfg = dict(type='DistillLoop', method='D3S2', seed=0, writer=dict(type='SegWriter', layout='source'))
test_evaluator = []
custom_hooks = [
    dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=0.01)),
    dict(
        type='GuidedSynthesisHook',
        segmentor=dict(
            type='SegmentorGuide',
            config='mmdistill::students/unet_streets.py',
            checkpoint='mmdistill://streets/segmentor/model.safetensors',
            layers=['backbone']),
        objectives=[
            dict(type='SegmentationConsistency', class_weight='balanced'),
            dict(type='ClassFeatureMatching', weight=0.1),
        ],
        window=(0.25, 1.0),
        update='prev',
        scale=2.0),
    dict(type='PreviewHook'),
]
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
