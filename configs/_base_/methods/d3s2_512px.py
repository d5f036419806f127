# D3S2 at 512x512, guided by a published segmentor of mmseg that a config names.
_base_ = './d3s2.py'

test_dataloader = dict(batch_size=8)
guidance = dict(segmentor=dict(type='SegmentorGuide', layers=['backbone']), norm='rms', scale=0.05)
