# Stable Diffusion 1.5 with the original ControlNet for segmentation, trained with the colours of ADE20K (150 classes)
# and COCO (133). The weights are downloaded in the first run. Local files: --cfg-options model.generator.weights=…
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
