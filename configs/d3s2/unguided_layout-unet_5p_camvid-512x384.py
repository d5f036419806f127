# The same masks, seeds and generator as d3s2_layout-unet_5p_camvid-512x384.py without guidance, for comparison.
# mmdistill distill configs/d3s2/unguided_layout-unet_5p_camvid-512x384.py
_base_ = './d3s2_layout-unet_5p_camvid-512x384.py'

test_cfg = dict(method='unguided')
custom_hooks = [_base_.selection, dict(type='PreviewHook')]
