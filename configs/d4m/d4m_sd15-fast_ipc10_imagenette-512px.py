# D4M on ImageNette with 20 instead of 50 steps: 10 images per class, generated at 512 pixels by Stable Diffusion 1.5.
# mmdistill distill configs/d4m/d4m_sd15-fast_ipc10_imagenette-512px.py
_base_ = './d4m_sd15_ipc10_imagenette-512px.py'

model = dict(generator=dict(scheduler='DPMSolverMultistepScheduler', num_steps=20))
