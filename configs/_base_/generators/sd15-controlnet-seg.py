# Stable Diffusion 1.5 led by ControlNet's own segmentation weights, which know ADE20K's 150 colours and COCO's 133.
# The weights are fetched from the hub at the first run, or give paths: --cfg-options model.generator.weights=…
# model.generator.controlnet=… model.generator.guidance_vae=…
model = dict(
    type='Distiller',
    generator=dict(
        type='ControlNetGenerator',
        weights='stable-diffusion-v1-5/stable-diffusion-v1-5',
        controlnet='lllyasviel/control_v11p_sd15_seg',
        scheduler='DPMSolverMultistepScheduler',
        guidance_vae='madebyollin/taesd',
        image_size=512,
        num_steps=20,
        cfg_scale=7.5,
        negative_prompt='cartoon, painting, low quality',
        dtype='bfloat16',
        micro_batch=8))
