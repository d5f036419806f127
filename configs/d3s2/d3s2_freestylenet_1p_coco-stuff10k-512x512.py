# D3S2 on COCO-Stuff 10k at 1 %: 90 images, 512x512, with FreestyleNet, guided by PSPNet R-50. Convert its UNet first:
# mmdistill convert-unet freestyle-sd-v1-4-coco.ckpt work_dirs/freestyle-sd-v1-4-coco
# mmdistill distill configs/d3s2/d3s2_freestylenet_1p_coco-stuff10k-512x512.py
# If the data are not in data/cocostuff-10k-v1.1: --cfg-options data_root=/path/to/cocostuff-10k-v1.1
# Other weights: --cfg-options model.generator.unet=… model.generator.weights=… model.generator.guidance_vae=…
# custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_coco-stuff10k.py', '../_base_/generators/freestylenet.py']

model = dict(generator=dict(unet='work_dirs/freestyle-sd-v1-4-coco', names='coco_stuff'))
