# D4M with Stable Diffusion 1.5 and the settings of the paper. A config sets test_dataloader.dataset.
# The weights are downloaded in the first run. A local folder: --cfg-options model.generator.weights=…
_base_ = './d4m.py'

model = dict(
    type='Distiller',
    generator=dict(
        type='Img2ImgGenerator',
        weights='stable-diffusion-v1-5/stable-diffusion-v1-5',
        scheduler='DDIMScheduler',  # instead of PNDM of the folder, which the denoising loop does not support
        image_size=512,
        num_steps=50,
        strength=0.7,
        cfg_scale=8.0,
        negative_prompt='cartoon, anime, painting',
        dtype='bfloat16',
        micro_batch=16))
test_dataloader = dict(batch_size=16)
test_cfg = dict(writer=dict(type='ClassWriter', size=224))
# Resized to the size of the generator without keeping the aspect ratio, as in the released code.
custom_hooks = [dict(type='PrototypeHook', ipc=10, crop=False), dict(type='PreviewHook')]
