# DiT-XL/2 at 256 pixels in 20 steps of DPM-Solver++ in place of 50 ancestral ones. The learned variance is left aside.
# Not measured at this size.
_base_ = './dit-xl2.py'

model = dict(generator=dict(scheduler=dict(_delete_=True, type='DPMSolverMultistepScheduler'), num_steps=20))
