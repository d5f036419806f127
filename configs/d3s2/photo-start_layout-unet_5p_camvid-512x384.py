# Not D3S2: uses the masks and generator of unguided_layout-unet_5p_camvid-512x384.py, but each image starts from the
# photo of its mask, with noise according to `strength`, instead of pure noise. This shows how much the generator loses.
# mmdistill distill configs/d3s2/photo-start_layout-unet_5p_camvid-512x384.py
_base_ = './unguided_layout-unet_5p_camvid-512x384.py'

test_cfg = dict(method='photo-start')
model = dict(generator=dict(strength=0.1, num_steps=20))
custom_hooks = [dict(_base_.selection, start='photo'), dict(type='PreviewHook')]
