# D3S2 on COCO-Stuff 164k at 1 %: 1 183 images of 512x512 by SD 1.5 with ControlNet-seg, guided by PSPNet R-50.
# mmdistill distill configs/d3s2/d3s2_sd15-controlnet_1p_coco-stuff164k-512x512.py
# Not in data/coco_stuff164k? --cfg-options data_root=/path/to/coco_stuff164k
# The weights are fetched from the hub at the first run, or give paths: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=… custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_coco-stuff164k.py', '../_base_/generators/sd15-controlnet-seg.py']

model = dict(generator=dict(palette='coco_panoptic'))
