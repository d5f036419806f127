# Not D3S2: each image starts from the photo of its mask, as in photo-start_layout-unet_5p_camvid-512x384.py, and the
# guidance of D3S2 acts on all of the last fifth of the denoising steps.
# mmdistill distill configs/d3s2/photo-guided_layout-unet_5p_camvid-512x384.py
_base_ = './d3s2_layout-unet_5p_camvid-512x384.py'

test_cfg = dict(method='photo-guided')
model = dict(generator=dict(strength=0.2))
guidance = dict(_base_.guidance, window=(0.0, 1.0))
custom_hooks = [dict(_base_.selection, start='photo'), guidance, dict(type='PreviewHook')]
