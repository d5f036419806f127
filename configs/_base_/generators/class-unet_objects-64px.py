# The built-in class-conditional generator of the object pictures.
model = dict(
    type='Distiller',
    generator=dict(
        type='ClassConditionalGenerator',
        weights='mmdistill://objects',
        scheduler='DPMSolverMultistepScheduler',
        num_steps=20,
        cfg_scale=2.0,
        micro_batch=10))
