"""Training sets: distilled ones, their source images, and real images that a selector chooses."""
import json
import multiprocessing
import os
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from mmdistill.datasets import histograms
from mmdistill.errors import DistillError
from mmdistill.evaluation.building import build_dataset
from mmdistill.evaluation.training_sets import RealData, TrainingSet, same_image
from mmdistill.tasks.classification import Classification
from mmdistill.tasks.segmentation import Segmentation

REAL = dict(type='mmdistill.StreetScenes', num_scenes=12, pipeline=[dict(type='LoadImageFromFile')])
GREEDY, RANDOM = dict(type='ClassBalancedGreedy'), dict(type='RandomSelector')


@pytest.fixture
def real(tmp_path):
    return RealData(REAL, Segmentation(), tmp_path)


def _set(spec, real, budget=3, **others):
    return TrainingSet('mine', spec, real, budget, others)


def test_only_stochastic_selectors_draw_again_for_each_image_set(real):
    random, greedy = _set(dict(selector=RANDOM), real), _set(dict(selector=GREEDY), real)
    assert (random.num_image_sets(4), greedy.num_image_sets(4)) == (4, 1)
    draws = [random.dataset(i)['indices'] for i in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]
    assert 'pipeline' not in random.dataset(0)
    assert len(build_dataset(greedy.dataset(0), 'mmseg')) == 3
    assert len(_set(dict(selector=dict(GREEDY, budget=5)), real).dataset(0)['indices']) == 5


def test_distilled_sets_and_the_real_images_they_were_made_from(real, run):
    root = str(run / 'distilled')
    distilled = _set(dict(data_root=[root, root]), real)
    assert distilled.num_image_sets(5) == 2
    assert distilled.dataset(1) == dict(type='mmdistill.DistilledDataset', data_root=root)
    source = _set(dict(source_of='other'), real, other=dict(data_root=root))
    assert source.dataset(0)['indices'] == [0, 1, 2]
    built, test = build_dataset(distilled.dataset(0), 'mmseg'), real.dataset
    with pytest.raises(DistillError, match='another order'):
        swapped = dict(REAL, metainfo=dict(classes=test.metainfo['classes'][::-1]))
        distilled.check(built, build_dataset(swapped, 'mmseg'))
    distilled.check(built, build_dataset(dict(REAL, split='test'), 'mmseg'))


def test_a_union_has_the_images_of_its_members(real, run):
    root = str(run / 'distilled')
    others = dict(distilled=dict(data_root=[root, root]), random=dict(selector=RANDOM), greedy=dict(selector=GREEDY))
    union = _set(dict(union=['distilled', 'random', 'greedy']), real, **others)
    assert union.num_image_sets(3) == 3 and _set(dict(union=['distilled', 'greedy']), real, **others).num_image_sets(
        3) == 2
    random = _set(dict(selector=RANDOM), real)
    for image_set in range(3):
        cfg = union.dataset(image_set)
        assert cfg['datasets'][1]['indices'] == random.dataset(image_set)['indices']
        built = build_dataset(cfg, 'mmseg')
        assert len(built) == 9
        paths = [built.get_data_info(n)['img_path'] for n in range(9)]
        assert all(path.startswith(root) for path in paths[:3])
        assert paths[3:6] == [f'streets://train/64/images/{n:06d}.png' for n in random.dataset(image_set)['indices']]
    test = build_dataset(dict(REAL, split='test'), 'mmseg')
    union.check(built, test)
    with pytest.raises(DistillError, match='mine: [3-6] of its images are test images too'):
        union.check(built, real.dataset)


def test_the_real_image_of_several_distilled_ones_counts_once(real, run):
    path = run / 'distilled/meta/distilled.json'
    manifest = json.loads(path.read_text())
    again = [dict(image, id=f'{image["id"]}_1') for image in manifest['images']]
    manifest['images'] = manifest['images'][::-1] + again
    path.write_text(json.dumps(manifest))
    source = _set(dict(source_of='other'), real, other=dict(data_root=str(run / 'distilled')))
    assert source.dataset(0)['indices'] == [2, 1, 0]


def test_training_images_that_are_tested_on_are_refused(real):
    random = _set(dict(selector=RANDOM), real)
    built = build_dataset(random.dataset(0), 'mmseg')
    with pytest.raises(DistillError, match='mine: 3 of its images are test images too'):
        random.check(built, real.dataset)


def test_one_hot_histograms_of_a_classification_set(tmp_path):
    files = []
    for i, label in enumerate((0, 1, 1, 2)):
        files.append(f'{i}.png {label}')
    (tmp_path / 'list.txt').write_text('\n'.join(files))
    real = RealData(dict(type='CustomDataset', data_root=str(tmp_path), ann_file='list.txt',
                         metainfo=dict(classes=('a', 'b', 'c'))), Classification(), tmp_path)
    assert real.labels.tolist() == [0, 1, 1, 2]
    assert np.array_equal(real.histograms, [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert np.array_equal(real.totals, real.histograms.sum(0)) and real.totals.dtype == np.int64
    uniform = _set(dict(selector=dict(type='UniformPerClassSelector')), real, budget=3)
    assert sorted(real.labels[uniform.dataset(0)['indices']]) == [0, 1, 2]


def test_the_images_per_class_of_a_large_set_need_no_matrix():
    """Of ImageNet-1K, a row per image with a number per class would take 10 GB."""
    labels = np.random.default_rng(0).integers(0, 999, 10**5)
    dataset = SimpleNamespace(metainfo=dict(classes=range(1000)))
    task = Classification()
    task.labels = lambda dataset: labels
    tracemalloc.start()
    try:
        totals = task.class_totals(dataset)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
    assert totals.shape == (1000, ) and all(totals[label] == (labels == label).sum() for label in (0, 500, 998, 999))


@pytest.mark.parametrize('indices, expected', [
    (list(range(0, 12, 2)), [2, 4, 8]), (6, [1, 2, 4]), (-6, [-5, -4, -2]), (-20, [-11, -10, -8]), (None, [1, 2, 4])])
def test_indices_of_the_real_set_are_kept(tmp_path, indices, expected):
    real = RealData(dict(REAL, indices=indices), Segmentation(), tmp_path)
    subset = real.subset([1, 2, 4])
    assert subset['indices'] == expected
    every, chosen = (build_dataset(cfg, 'mmseg') for cfg in (real.cfg, subset))
    assert [chosen.get_data_info(i)['img_path'] for i in range(3)] == [
        every.get_data_info(i)['img_path'] for i in (1, 2, 4)]


def test_a_selectors_images_are_those_of_the_configured_half(tmp_path):
    """Its indices must not replace the configured ones, or the set would have other images than the selected ones."""
    half = RealData(dict(REAL, indices=list(range(1, 12, 2))), Segmentation(), tmp_path)
    for selector in GREEDY, RANDOM:
        training_set = _set(dict(selector=selector), half)
        built = build_dataset(training_set.dataset(0), 'mmseg')
        paths = {built.get_data_info(i)['img_path'] for i in range(3)}
        assert paths <= {f'streets://train/64/images/{i:06d}.png' for i in range(1, 12, 2)} and len(paths) == 3


def test_sources_have_to_be_the_images_at_hand(run, tmp_path):
    root = str(run / 'distilled')
    for change, message in ((dict(indices=[1, 0, 2]), 'made from streets://train/64/images/000000.png as image 0 of '
                             'its real dataset, train_dataset has streets://train/64/images/000001.png there'),
                            (dict(indices=2), 'train_dataset has 2 images there'),
                            (dict(split='test'), 'give the train_dataset that the set was distilled from')):
        source = _set(dict(source_of='other'), RealData(dict(REAL, **change), Segmentation(), tmp_path),
                      other=dict(data_root=root))
        with pytest.raises(DistillError, match=message):
            source.dataset(0)
    more = _set(dict(source_of='other'), RealData(dict(REAL, indices=[0, 1, 2, 5]), Segmentation(), tmp_path),
                other=dict(data_root=root))
    assert more.dataset(0)['indices'] == [0, 1, 2]


@pytest.mark.parametrize('recorded, path, root, same', [
    ('/a/ade/images/x.jpg', '/a/ade/images/x.jpg', '/a/ade', True),
    ('/old/ade/images/x.jpg', '/a/ade/images/x.jpg', '/a/ade', True),
    ('data/ade/images/x.jpg', './data/ade/images/x.jpg', './data/ade/', True),
    ('s3://old/ade/images/x.jpg', '/a/ade/images/x.jpg', '/a/ade', True),
    ('/old/ade/images/y.jpg', '/a/ade/images/x.jpg', '/a/ade', False),
    ('/old/ade/val/x.jpg', '/a/ade/images/x.jpg', '/a/ade', False),
    ('/old/ade/images/x.jpg', '/a/ade/images/x.jpg', '', False),
    ('/old/ade/images/x.jpg', '/a/ade/images/x.jpg', None, False),
    ('/a/ade/images/x.jpg', '/a/ade/images/x.jpg', None, True),
])
def test_an_image_is_the_same_where_the_data_root_has_moved(recorded, path, root, same):
    assert same_image(recorded, path, root) == same


def test_bad_values(real, tmp_path):
    with pytest.raises(DistillError, match='no distilled set at'):
        build_dataset(_set(dict(data_root=str(tmp_path / 'none')), real).dataset(0), 'mmseg')
    missing = dict(type='BaseSegDataset', data_root=str(tmp_path), data_prefix=dict(img_path='a', seg_map_path='b'),
                   metainfo=dict(classes=('x', 'y'), palette=[[0, 0, 0], [1, 1, 1]]))
    with pytest.raises(DistillError, match='no data at .*: set test_dataset.data_root'):
        build_dataset(missing, 'mmseg', 'test_dataset')
    with pytest.raises(DistillError, match='no data at .*none.*: set dataset.data_root'):
        build_dataset(dict(type='mmpretrain.ImageNet', data_root=str(tmp_path / 'none'), split='train'), 'mmpretrain')


def test_processes_that_divide_the_students_count_the_masks_once(tmp_path, monkeypatch):
    """The processes of `torchrun -m mmdistill evaluate` have no process group."""
    count_masks, log = histograms.count_masks, tmp_path / 'log'

    def count(*args):
        with log.open('a') as file:
            file.write(f'{os.getpid()}\n')
        time.sleep(0.3)
        return count_masks(*args)

    def rank(number):
        np.save(tmp_path / f'{number}.npy', RealData(REAL, Segmentation(), tmp_path).histograms)

    monkeypatch.setattr(histograms, 'count_masks', count)
    ranks = [multiprocessing.get_context('fork').Process(target=rank, args=(number, )) for number in range(3)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0, 0] and len(log.read_text().split()) == 1
    results = [np.load(tmp_path / f'{number}.npy') for number in range(3)]
    assert all((one == results[0]).all() for one in results) and results[0].sum() == 12 * 64 * 64
    assert not list(tmp_path.glob('*.lock'))
