# D3S2 on ADE20K at 1 %: 203 images, 512x512, with Stable Diffusion 1.5 and ControlNet++, guided by SegFormer-B0.
# mmdistill distill configs/d3s2/d3s2_sd15-controlnetpp_1p_ade20k-512x512.py
# If the data are not in data/ade/ADEChallengeData2016: --cfg-options data_root=/path/to/ADEChallengeData2016
# The weights are downloaded in the first run. Local files: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=… custom_hooks.GuidedSynthesisHook.segmentor.checkpoint=…
_base_ = ['../_base_/methods/d3s2_ade20k.py', '../_base_/generators/sd15-controlnetpp.py']

model = dict(
    generator=dict(
        controlnet='limingcv/reward_controlnet/checkpoints/ade20k_reward-model-UperNet-R50/checkpoint-5000/controlnet'))
