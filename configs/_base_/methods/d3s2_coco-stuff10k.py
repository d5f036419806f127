# D3S2 on COCO-Stuff 10k at 1 %, 90 images, guided by PSPNet R-50. A config sets the generator.
_base_ = ['./d3s2_512px.py', '../datasets/coco-stuff10k.py']

test_dataloader = dict(dataset=_base_.train_dataset)
test_cfg = dict(writer=dict(layout='coco_stuff10k'))
guidance = dict(
    _base_.guidance, segmentor=dict(_base_.guidance.segmentor, config='pspnet_r50-d8_4xb4-40k_coco-stuff10k-512x512'))
custom_hooks = [_base_.selection, guidance, dict(type='PreviewHook')]
