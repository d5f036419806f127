# D3S2 on ADE20K at 1 %: 203 images of 512x512 by Stable Diffusion 1.5 with ControlNet-seg, guided by SegFormer-B0.
# The paper's own generator and guide are not published; see docs/methods.md.
# mmdistill distill configs/d3s2/d3s2_sd15-controlnet_1p_ade20k-512x512.py
# Not in data/ade/ADEChallengeData2016? --cfg-options data_root=/path/to/ADEChallengeData2016
# The weights are fetched from the hub at the first run, or give paths: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=…
# custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = '../_base_/methods/d3s2.py'

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
    dataset=dict(
        _scope_='mmseg',
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=[]))
test_cfg = dict(writer=dict(layout='ade20k'))
guidance = dict(
    _base_.guidance,
    segmentor=dict(
        type='SegmentorGuide',
        config='segformer_mit-b0_8xb2-160k_ade20k-512x512',
        layers=['backbone']),
    norm='rms',
    scale=0.05)
custom_hooks = [_base_.selection, guidance, dict(type='PreviewHook')]
