# D3S2 on ADE20K at 1 %: 203 images of 512x512 by Stable Diffusion 1.5 with ControlNet-seg, guided by SegFormer-B0.
# The paper's own generator and guide are not published; see docs/methods/d3s2.md.
# mmdistill distill configs/d3s2/d3s2_sd15-controlnet_1p_ade20k-512x512.py
# Not in data/ade/ADEChallengeData2016? --cfg-options data_root=/path/to/ADEChallengeData2016
# The weights are fetched from the hub at the first run, or give paths: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=… custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_ade20k.py', '../_base_/generators/sd15-controlnet-seg.py']
