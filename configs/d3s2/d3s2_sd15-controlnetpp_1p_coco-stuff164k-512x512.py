# D3S2 on COCO-Stuff 164k at 1 %: 1 183 images, 512x512, with SD 1.5 and ControlNet++, guided by PSPNet R-50.
# mmdistill distill configs/d3s2/d3s2_sd15-controlnetpp_1p_coco-stuff164k-512x512.py
# If the data are not in data/coco_stuff164k: --cfg-options data_root=/path/to/coco_stuff164k
# The weights are downloaded in the first run. Local files: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=… custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_coco-stuff164k.py', '../_base_/generators/sd15-controlnetpp.py']

model = dict(
    generator=dict(
        controlnet='limingcv/reward_controlnet/checkpoints/cocostuff/reward_5k', palette='coco_panoptic'))
