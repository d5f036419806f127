# D3S2 on ADE20K at 1 %: 203 images, 512x512, with FreestyleNet, guided by SegFormer-B0. Convert its UNet first:
# mmdistill convert-unet freestyle-sd-v1-4-ade20k.ckpt work_dirs/freestyle-sd-v1-4-ade20k
# mmdistill distill configs/d3s2/d3s2_freestylenet_1p_ade20k-512x512.py
# If the data are not in data/ade/ADEChallengeData2016: --cfg-options data_root=/path/to/ADEChallengeData2016
# Other weights: --cfg-options model.generator.unet=… model.generator.weights=… model.generator.guidance_vae=…
# custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_ade20k.py', '../_base_/generators/freestylenet.py']

model = dict(generator=dict(unet='work_dirs/freestyle-sd-v1-4-ade20k', names='ade20k'))
