# Stable Diffusion 1.5 led by ControlNet++ (arXiv 2404.07987), at its paper's settings. A config names the weights,
# which are other ones for each dataset: model = dict(generator=dict(controlnet='limingcv/reward_controlnet/…'))
_base_ = './sd15-controlnet-seg.py'

model = dict(
    generator=dict(scheduler='UniPCMultistepScheduler', negative_prompt='worst quality, low quality'))
