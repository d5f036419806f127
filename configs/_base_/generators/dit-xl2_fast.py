# DiT-XL/2 at 256 pixels in 20 steps of DPM-Solver++ instead of 50 ancestral steps. The learned variance is not used. No
# results at this size yet.
_base_ = './dit-xl2.py'

model = dict(generator=dict(scheduler=dict(_delete_=True, type='DPMSolverMultistepScheduler'), num_steps=20))
