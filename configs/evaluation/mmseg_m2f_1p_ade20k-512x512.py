# ADE20K at 1 %, 203 images: D3S2 and its baselines with Mask2Former Swin-S, three seeds. A student needs one GPU of 80
# GB.
# First: mmdistill distill configs/d3s2/d3s2_sd15-controlnetpp_1p_ade20k-512x512.py
# mmdistill evaluate configs/evaluation/mmseg_m2f_1p_ade20k-512x512.py
# Another set: --cfg-options training_sets.distilled.data_root=work_dirs/d3s2_freestylenet_1p_ade20k-512x512/distilled
_base_ = ['../_base_/datasets/ade20k.py']

protocol = 'mmseg_m2f'
training_sets = dict(
    random_real=dict(selector=dict(type='RandomSelector')),
    class_balanced_real=dict(selector=dict(type='UniformPerClassSelector')),
    selected_real=dict(source_of='distilled'),
    distilled=dict(data_root='work_dirs/d3s2_sd15-controlnetpp_1p_ade20k-512x512/distilled'),
    distilled_and_random_real=dict(union=['distilled', 'random_real']))
budget = 0.01
image_sets = 3
trainings = 1
overrides = {'train_dataloader.batch_size': 16}  # the batch of the protocol, 16 images, on one GPU instead of eight
judge = dict(type='SegmentorGuide', config='mask2former_swin-l-in22k-384x384-pre_8xb2-160k_ade20k-640x640')
