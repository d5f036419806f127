# D3S2 on COCO-Stuff 164k at 1 %, 1 183 images, guided by PSPNet R-50. A config sets the generator.
_base_ = ['./d3s2_512px.py', '../datasets/coco-stuff164k.py']

test_dataloader = dict(dataset=_base_.train_dataset)
test_cfg = dict(writer=dict(layout='coco_stuff164k'))
guidance = dict(
    _base_.guidance, segmentor=dict(_base_.guidance.segmentor, config='pspnet_r50-d8_4xb4-80k_coco-stuff164k-512x512'))
custom_hooks = [_base_.selection, guidance, dict(type='PreviewHook')]
