# D3S2 on CamVid at twice the size of d3s2_layout-unet_5p_camvid-256x192.py, which small objects need, and with a
# guiding segmentor that starts from ImageNet weights. Students read the images at 256x192, and so does the segmentor.
# Generator and segmentor have to be trained first:
# mmdistill train configs/generators/layout-unet_camvid-512x384.py
# mmdistill train configs/generators/efficientnet-guide_camvid-256x192.py
# mmdistill distill configs/d3s2/d3s2_layout-unet_5p_camvid-512x384.py
_base_ = './d3s2_layout-unet_5p_camvid-256x192.py'

model = dict(generator=dict(
    weights='work_dirs/layout-unet_camvid-512x384/export', image_size=(384, 512), num_steps=50))
guidance = dict(
    _base_.guidance,
    segmentor=dict(
        _base_.guidance.segmentor,
        config='mmdistill::generators/efficientnet-guide_camvid-256x192.py',
        checkpoint='work_dirs/efficientnet-guide_camvid-256x192/export/model.safetensors',
        size=_base_.image_scale[::-1]),
    window=(0.8, 1.0),  # the fine texture, which students learn from; see docs/results/camvid.md
    norm='rms',
    scale=0.02)
custom_hooks = [_base_.selection, guidance, dict(type='PreviewHook')]
