# streets_1p.py with the unguided set beside it, five draws, and the agreement of a judge with the masks of each set:
#   python tools/train.py configs/generators/streets_judge.py
#   python tools/quickstart.py --seeds 5 --sets distilled random_real selected_real unguided
#   python tools/evaluate.py configs/evaluation/streets_1p_judged.py --work-dir work_dirs/quickstart/comparison
# The last finds the students that the second has trained.
_base_ = './streets_1p.py'
training_sets = dict(unguided=dict(data_root='work_dirs/quickstart/unguided/distilled'))
image_sets = 5
judge = dict(
    type='SegmentorGuide',
    config='configs/generators/streets_judge.py',
    checkpoint='work_dirs/streets_judge/export/model.safetensors')
