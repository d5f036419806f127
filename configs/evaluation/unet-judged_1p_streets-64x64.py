# unet_1p_streets-64x64.py plus the unguided set, five image sets, and the agreement of a judge network with the masks:
# mmdistill train configs/generators/unet-judge_streets-64x64.py
# python tools/quickstart.py --seeds 5 --sets distilled random_real selected_real unguided
# mmdistill evaluate configs/evaluation/unet-judged_1p_streets-64x64.py --work-dir work_dirs/quickstart/comparison
# The last command reuses the students that the second one trained.
_base_ = './unet_1p_streets-64x64.py'
training_sets = dict(unguided=dict(data_root='work_dirs/quickstart/unguided/distilled'))
image_sets = 5
judge = dict(
    type='SegmentorGuide',
    config='mmdistill::generators/unet-judge_streets-64x64.py',
    checkpoint='work_dirs/unet-judge_streets-64x64/export/model.safetensors')
