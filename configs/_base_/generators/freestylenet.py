# FreestyleNet (arXiv 2303.14412): Stable Diffusion 1.4 with rectified cross-attention and a fine-tuned UNet, with the
# settings of its paper. A config sets the UNet and the class names that it was trained with:
# model = dict(generator=dict(unet='…', names='ade20k'))
model = dict(
    type='Distiller',
    generator=dict(
        type='FreestyleNetGenerator',
        weights='CompVis/stable-diffusion-v1-4',
        scheduler=dict(type='DDIMScheduler', steps_offset=1, set_alpha_to_one=False),
        guidance_vae='madebyollin/taesd',
        image_size=512,
        num_steps=50,
        cfg_scale=2.0,
        dtype='bfloat16',
        micro_batch=8))
