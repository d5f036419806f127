# The class-conditional generator of this project for ImageNette at 128 pixels. Train it first:
# mmdistill train configs/generators/class-unet_cpu_imagenette-128px.py
# Other weights: --cfg-options model.generator.weights=…
model = dict(
    type='Distiller',
    generator=dict(
        type='ClassConditionalGenerator',
        weights='work_dirs/class-unet_cpu_imagenette-128px/export',
        scheduler=dict(type='DDPMScheduler', variance_type='fixed_small', timestep_spacing='linspace'),
        image_size=128,
        num_steps=50,
        cfg_scale=4.0,
        dtype='bfloat16',
        micro_batch=20))
