# D3S2 on ADE20K at 1 %, 203 images, guided by SegFormer-B0. A config sets the generator.
_base_ = ['./d3s2_512px.py', '../datasets/ade20k.py']

test_dataloader = dict(dataset=_base_.train_dataset)
test_cfg = dict(writer=dict(layout='ade20k'))
guidance = dict(
    _base_.guidance, segmentor=dict(_base_.guidance.segmentor, config='segformer_mit-b0_8xb2-160k_ade20k-512x512'))
custom_hooks = [_base_.selection, guidance, dict(type='PreviewHook')]
