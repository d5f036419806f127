# D3S2 on ADE20K at 1 %: 203 images of 512x512 by Stable Diffusion 1.5 with ControlNet-seg, guided by SegFormer-B0.
# The paper's own generator and guide are not published; see docs/methods.md. Weights are fetched from the hub at the first
# run, or give folders: --cfg-options model.generator.weights=… model.generator.controlnet=…
_base_ = '../_base_/default_runtime.py'
data_root = 'data/ade/ADEChallengeData2016'

model = dict(
    type='Distiller',
    generator=dict(
        type='ControlNetGenerator',
        weights='stable-diffusion-v1-5/stable-diffusion-v1-5',
        controlnet='lllyasviel/control_v11p_sd15_seg',
        scheduler='DPMSolverMultistepScheduler',
        guidance_vae='madebyollin/taesd',
        image_size=512,
        num_steps=20,
        cfg_scale=7.5,
        negative_prompt='cartoon, painting, low quality',
        dtype='bfloat16',
        micro_batch=8))
test_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        _scope_='mmseg',
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=[]))
test_cfg = dict(type='DistillLoop', method='D3S2', seed=0, writer=dict(type='SegWriter', layout='ade20k'))
test_evaluator = []
custom_hooks = [
    dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=0.01)),
    dict(
        type='GuidedSynthesisHook',
        segmentor=dict(
            type='SegmentorGuide',
            config='mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/segformer/'
            'segformer_mit-b0_512x512_160k_ade20k/segformer_mit-b0_512x512_160k_ade20k_20210726_101530-8ffa8fda.pth',
            layers=['backbone']),
        objectives=[
            dict(type='SegmentationConsistency', class_weight='balanced'),
            dict(type='ClassFeatureMatching', weight=0.1),
        ],
        window=(0.25, 1.0),
        norm='rms',
        scale=0.05),
    dict(type='PreviewHook'),
]
default_hooks = dict(logger=dict(interval=1), checkpoint=None)
