# DiT-XL/2 at 256 pixels: 50 ancestral steps with the learned variance, classifier-free guidance scale 4.
# Guidance on the first three latent channels, as in DiT's code: --cfg-options model.generator.cfg_channels=3
# The weights are CC-BY-NC-4.0, not for commercial use. They are downloaded in the first run. A local
# folder: --cfg-options model.generator.weights=…
model = dict(
    type='Distiller',
    generator=dict(
        type='ClassConditionalGenerator',
        weights='facebook/DiT-XL-2-256',
        scheduler=dict(
            type='DDPMScheduler', variance_type='learned_range', timestep_spacing='linspace', clip_sample=False),
        image_size=256,
        num_steps=50,
        cfg_scale=4.0,
        dtype='bfloat16',
        micro_batch=10))  # one sample of each of ten classes
