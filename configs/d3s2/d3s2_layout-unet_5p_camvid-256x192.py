# D3S2 on CamVid: 19 of 367 frames, with a generator and a guiding segmentor that have to be trained first:
# mmdistill train configs/generators/layout-unet_camvid-256x192.py
# mmdistill train configs/generators/unet-guide_camvid-256x192.py
# mmdistill distill configs/d3s2/d3s2_layout-unet_5p_camvid-256x192.py
# Other weights: --cfg-options model.generator.weights=… custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2.py', '../_base_/datasets/camvid.py']

model = dict(
    type='Distiller',
    generator=dict(
        type='LayoutUNetGenerator',
        weights='work_dirs/layout-unet_camvid-256x192/export',
        scheduler='DPMSolverMultistepScheduler',
        image_size=_base_.image_scale[::-1],
        num_steps=20,
        cfg_scale=1.5,
        micro_batch=4))
test_dataloader = dict(batch_size=4, dataset=_base_.train_dataset)
guidance = dict(
    _base_.guidance,
    segmentor=dict(
        type='SegmentorGuide',
        config='mmdistill::generators/unet-guide_camvid-256x192.py',
        checkpoint='work_dirs/unet-guide_camvid-256x192/export/model.safetensors',
        layers=['backbone']),
    update='prev',
    scale=0.6)
selection = dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=0.05))
custom_hooks = [selection, guidance, dict(type='PreviewHook')]
