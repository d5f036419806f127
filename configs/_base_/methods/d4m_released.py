# D4M with all settings of the authors' released code; a config sets test_dataloader.dataset. Most are those of
# d4m_sd15.py: images resized to 512x512 without keeping the aspect ratio, strength 0.7, scale 8, a negative prompt,
# saved at 224. docs/methods/d4m.md lists the remaining differences from the released code.
_base_ = './d4m_sd15.py'

model = dict(generator=dict(dtype='float16'))
test_cfg = dict(writer=dict(image_format='PNG', resample='bicubic'))
