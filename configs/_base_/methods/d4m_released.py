# D4M with all choices of the authors' released code at once; a config gives test_dataloader.dataset. Most are those of
# d4m_sd15.py: images squashed to 512 pixels, strength 0.7, scale 8, the negative prompt, written at 224. What stays
# different from the released code is in docs/methods/d4m.md.
_base_ = './d4m_sd15.py'

model = dict(generator=dict(dtype='float16'))
test_cfg = dict(writer=dict(image_format='PNG', resample='bicubic'))
