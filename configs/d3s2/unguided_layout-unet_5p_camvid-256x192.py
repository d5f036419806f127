# The same masks, seeds and generator as camvid_5p.py without guidance: what the guidance adds is measured against it.
_base_ = 'camvid_5p.py'
custom_hooks = [_base_.selection, dict(type='PreviewHook')]
