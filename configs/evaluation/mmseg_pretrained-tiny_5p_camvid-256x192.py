# CamVid at 5 % (19 frames) with a student that starts from ImageNet weights and one from scratch: real frames by six
# selectors, images that start from the photos of the second selector's masks, images generated from these masks, and
# real and generated images together.
# python benchmarks/camvid.py --share 0.05                  # makes the distilled sets, then compares
# mmdistill evaluate configs/evaluation/mmseg_pretrained-tiny_5p_camvid-256x192.py     # the comparison alone
# To choose settings, use the validation frames: --cfg-options split=val. To leave a row out: training_sets.NAME=None.
_base_ = ['../_base_/datasets/camvid.py']

protocol = 'mmseg_pretrained-tiny'
students = dict(pretrained=None, fast_scnn='mmdistill::students/fast-scnn_camvid-256x192.py')
budget = 19
folder = 'work_dirs/camvid_5p'
training_sets = dict(
    random_real=dict(selector=dict(type='RandomSelector')),
    greedy_real=dict(selector=dict(type='ClassBalancedGreedy')),
    neighbours_greedy_real=dict(selector=dict(type='ClassBalancedGreedy', min_gap=1)),  # near-duplicates are allowed
    dense_greedy_real=dict(selector=dict(type='ClassBalancedGreedy', min_gap=1, density=0.2)),
    rarest_first_real=dict(selector=dict(type='RarestClassFirst')),
    uniform_per_class_real=dict(selector=dict(type='UniformPerClassSelector')),
    photo_start=dict(data_root=[f'{folder}/photo-10_{seed}/distilled' for seed in range(3)]),
    unguided=dict(data_root=[f'{folder}/unguided_{seed}/distilled' for seed in range(3)]),
    distilled=dict(data_root=[f'{folder}/d3s2_{seed}/distilled' for seed in range(3)]),
    # Two images for each of the first ten masks, without the last image.
    two_per_mask=dict(dataset=[dict(type='mmdistill.DistilledDataset', indices=budget,
                                    data_root=f'{folder}/d3s2-two_{seed}/distilled') for seed in range(3)]),
    distilled_and_random=dict(union=['distilled', 'random_real']),
    random_real_twice=dict(selector=dict(type='RandomSelector', budget=2 * budget)))
image_sets = 3
trainings = 1
