# CamVid at 10 % (37 frames): the rows of mmseg_pretrained-tiny_5p_camvid-256x192.py.
# python benchmarks/camvid.py --share 0.1                   # makes the distilled sets, then compares
# mmdistill evaluate configs/evaluation/mmseg_pretrained-tiny_10p_camvid-256x192.py    # the comparison alone
_base_ = './mmseg_pretrained-tiny_5p_camvid-256x192.py'

budget = 37
folder = 'work_dirs/camvid_10p'
training_sets = dict(
    photo_start=dict(data_root=[f'{folder}/photo-10_{seed}/distilled' for seed in range(3)]),
    unguided=dict(data_root=[f'{folder}/unguided_{seed}/distilled' for seed in range(3)]),
    distilled=dict(data_root=[f'{folder}/d3s2_{seed}/distilled' for seed in range(3)]),
    two_per_mask=dict(dataset=[dict(type='mmdistill.DistilledDataset', indices=budget,
                                    data_root=f'{folder}/d3s2-two_{seed}/distilled') for seed in range(3)]),
    random_real_twice=dict(selector=dict(budget=2 * budget)))
