# D3S2 on COCO-Stuff 10k at 1 %: 90 images, 512x512, with Stable Diffusion 1.5 and ControlNet++, guided by PSPNet R-50.
# mmdistill distill configs/d3s2/d3s2_sd15-controlnetpp_1p_coco-stuff10k-512x512.py
# If the data are not in data/cocostuff-10k-v1.1: --cfg-options data_root=/path/to/cocostuff-10k-v1.1
# The weights are downloaded in the first run. Local files: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=… custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_coco-stuff10k.py', '../_base_/generators/sd15-controlnetpp.py']

model = dict(
    generator=dict(
        controlnet='limingcv/reward_controlnet/checkpoints/cocostuff/reward_5k', palette='coco_panoptic'))
