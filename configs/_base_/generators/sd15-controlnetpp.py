# Stable Diffusion 1.5 with ControlNet++ (arXiv 2404.07987), with the settings of its paper. A config names the weights,
# which differ between datasets: model = dict(generator=dict(controlnet='limingcv/reward_controlnet/…'))
_base_ = './sd15-controlnet-seg.py'

model = dict(
    generator=dict(scheduler='UniPCMultistepScheduler', negative_prompt='worst quality, low quality'))
