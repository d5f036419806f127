# COCO-Stuff 164k at 1 %, 1 183 images: D3S2 and its baselines with Mask2Former Swin-S, three seeds. A student needs one
# GPU of 80 GB.
# First: mmdistill distill configs/d3s2/d3s2_sd15-controlnetpp_1p_coco-stuff164k-512x512.py
# mmdistill evaluate configs/evaluation/mmseg_m2f_coco-stuff_1p_coco-stuff164k-512x512.py
# Another set: --cfg-options
# training_sets.distilled.data_root=work_dirs/d3s2_freestylenet_1p_coco-stuff164k-512x512/distilled
_base_ = ['../_base_/datasets/coco-stuff164k.py']

protocol = 'mmseg_m2f_coco-stuff'
training_sets = dict(
    random_real=dict(selector=dict(type='RandomSelector')),
    class_balanced_real=dict(selector=dict(type='UniformPerClassSelector')),
    selected_real=dict(source_of='distilled'),
    distilled=dict(data_root='work_dirs/d3s2_sd15-controlnetpp_1p_coco-stuff164k-512x512/distilled'),
    distilled_and_random_real=dict(union=['distilled', 'random_real']))
budget = 0.01
image_sets = 3
trainings = 1
overrides = {'train_dataloader.batch_size': 16}  # the batch of the protocol, 16 images, on one GPU instead of eight
judge = dict(type='SegmentorGuide', config='deeplabv3_r101-d8_4xb4-320k_coco-stuff164k-512x512')
