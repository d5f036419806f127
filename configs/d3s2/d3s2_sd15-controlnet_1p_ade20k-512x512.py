# D3S2 on ADE20K at 1 %: 203 images, 512x512, with Stable Diffusion 1.5 and ControlNet-seg, guided by SegFormer-B0.
# The generator and the segmentor of the paper are not published; see docs/methods/d3s2.md.
# mmdistill distill configs/d3s2/d3s2_sd15-controlnet_1p_ade20k-512x512.py
# If the data are not in data/ade/ADEChallengeData2016: --cfg-options data_root=/path/to/ADEChallengeData2016
# The weights are downloaded in the first run. Local files: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=… custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_ade20k.py', '../_base_/generators/sd15-controlnet-seg.py']
