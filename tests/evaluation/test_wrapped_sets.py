"""Comparisons with datasets inside OpenMMLab's wrappers."""
import numpy as np
import pytest
from mmengine.config import Config

from mmdistill.errors import DistillError
from mmdistill.evaluation.building import build_dataset
from mmdistill.evaluation.comparison import check_comparison
from mmdistill.evaluation.guards import paths_of
from mmdistill.evaluation.protocols import load_protocol, protocol_names
from mmdistill.evaluation.students import student_runner_config
from mmdistill.evaluation.training_sets import RealData, TrainingSet
from mmdistill.tasks.classification import Classification
from mmdistill.tasks.segmentation import Segmentation
from mmdistill.toy.street_scenes import CLASSES

SCENES = dict(type='mmdistill.StreetScenes', num_scenes=6, size=32, pipeline=[dict(type='LoadImageFromFile')])
OTHERS = dict(SCENES, split='val', indices=-4)
WRAPPED = dict(type='RepeatDataset', times=1000, dataset=dict(type='ConcatDataset', datasets=[SCENES, OTHERS]))


def real_data(dataset, tmp_path):
    return RealData(dataset, Segmentation(), tmp_path)


def plain(cfg, **changes):
    return {**{key: value for key, value in cfg.items() if key != 'pipeline'}, **changes}


def test_the_real_set_has_each_image_once(tmp_path):
    real = real_data(WRAPPED, tmp_path)
    assert paths_of(real.dataset) == [f'streets://{split}/32/images/{n:06d}.png' for split, numbers in (
        ('train', range(6)), ('val', range(2, 6))) for n in numbers]
    assert real.histograms.shape == (10, 11)
    alone = real_data(SCENES, tmp_path / 'alone')
    np.testing.assert_array_equal(real.histograms[:6], alone.histograms)
    np.testing.assert_array_equal(real.totals, real.histograms.sum(0))


@pytest.mark.parametrize('indices, expected', [
    ([5, 1], plain(SCENES, indices=[5, 1])),
    ([8], plain(OTHERS, indices=[-2])),
    ([9, 0, 6], dict(type='mmdistill.UnionDataset', datasets=[
        plain(SCENES, indices=[0]), plain(OTHERS, indices=[-1, -4])]))])
def test_a_subset_has_the_indices_of_the_wrapped_configs(tmp_path, indices, expected):
    """Without repeats, and without datasets that become empty."""
    real = real_data(WRAPPED, tmp_path)
    cfg = real.subset(indices)
    assert cfg == expected
    assert sorted(paths_of(build_dataset(cfg, 'mmseg'))) == sorted(paths_of(real.dataset)[i] for i in indices)


def test_a_subset_of_a_fold(tmp_path):
    """The indices count in the dataset that is divided."""
    pictures = dict(type='mmdistill.ObjectPictures', num_images=20)
    fold = dict(type='KFoldDataset', fold=1, num_splits=4, seed=1, dataset=pictures)
    real = RealData(fold, Classification(), tmp_path)
    assert len(real.dataset) == 15 and len(real.labels) == 15
    cfg = real.subset([3, 14])
    assert cfg == dict(pictures, type='mmdistill.ObjectPictures', indices=cfg['indices'])
    assert paths_of(build_dataset(cfg, 'mmpretrain')) == [paths_of(real.dataset)[i] for i in (3, 14)]


def test_a_training_set_is_measured_without_repeats(tmp_path):
    real = real_data(SCENES, tmp_path)
    built = build_dataset(TrainingSet('x', dict(dataset=WRAPPED), real, 3, {}).dataset(0), 'mmseg')
    assert len(built) == 10 and Segmentation().class_counts(built).shape == (10, 11)


def test_a_dataset_of_a_comparison_leaves_its_pipeline(tmp_path):
    """All students of a comparison have the augmentation of the protocol."""
    cfg = TrainingSet('x', dict(dataset=[SCENES, WRAPPED]), real_data(SCENES, tmp_path), 3, {})
    assert 'pipeline' in SCENES
    assert cfg.dataset(0) == plain(SCENES) and 'pipeline' not in str(cfg.dataset(1))


def test_pipelines_go_to_what_reads_files():
    """The pipeline of a student, from a protocol with a wrapped training set, into another wrapped training set."""
    steps = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    student = Config(dict(
        default_scope='mmseg', train_cfg=dict(type='IterBasedTrainLoop', max_iters=4),
        train_dataloader=dict(dataset=dict(WRAPPED, dataset=dict(SCENES, pipeline=steps))),
        test_dataloader=dict(dataset=plain(SCENES))))
    repeated = dict(type='RepeatDataset', times=3, dataset=plain(SCENES))
    cfg = student_runner_config(student, repeated, 0, 'x')
    assert cfg.train_dataloader.dataset == dict(repeated, dataset=plain(SCENES, pipeline=steps))
    kept = student_runner_config(student, dict(repeated, dataset=SCENES), 0, 'x').train_dataloader.dataset
    assert kept.dataset.pipeline == SCENES['pipeline']


@pytest.mark.parametrize('dataset, say', [
    (dict(WRAPPED, dataset=dict(type='ConcatDataset', datasets=[SCENES, dict(SCENES, num_scene=3)])),
     r'train_dataset\.dataset\.datasets\.1\.num_scene: unknown setting of StreetScenes; did you mean num_scenes'),
    (dict(WRAPPED, dataset=dict(type='mmdistill.ObjectPictures')),
     r"train_dataset\.dataset\.type='mmdistill\.ObjectPictures' is a dataset of classification"),
    (dict(type='ConcatDataset', datasets=[]), r'train_dataset\.datasets: ConcatDataset wraps at least one dataset')])
def test_mistakes(dataset, say):
    name = next(name for name in protocol_names() if load_protocol(name).default_scope == 'mmseg')
    cfg = Config(dict(protocol=name, train_dataset=dataset, test_dataset=SCENES, budget=2,
                      training_sets=dict(random=dict(selector=dict(type='RandomSelector')))))
    with pytest.raises(DistillError, match=say):
        check_comparison(cfg)


def test_the_wrapped_dataset_that_cannot_be_read_is_named(tmp_path):
    missing = dict(type='BaseSegDataset', data_root=str(tmp_path / 'none'), data_prefix=dict(img_path='images'),
                   metainfo=dict(classes=('a', 'b')))
    real = real_data(dict(type='ConcatDataset', datasets=[SCENES, missing]), tmp_path)
    with pytest.raises(DistillError, match=r'no data at .*none.*: set train_dataset\.datasets\.1\.data_root'):
        len(real.dataset)
    darker = dict(SCENES, metainfo=dict(classes=list(CLASSES)[::-1], palette=[[0, 0, 0]] * 11))
    real = real_data(dict(type='ConcatDataset', datasets=[SCENES, darker]), tmp_path)
    with pytest.raises(DistillError, match=r"train_dataset\.datasets\.1 has other classes than train_dataset\.datasets"
                                           r"\.0: id 0 is 'cyclist' instead of 'sky'; give both the same metainfo"):
        len(real.dataset)
    darker['metainfo']['classes'] = list(CLASSES)
    with pytest.raises(DistillError, match=r"train_dataset\.datasets\.1 has palette=.*, but train_dataset\.datasets\.0 "
                                           r".*: set both to the same value, or set ignore_keys=\['palette'\]"):
        len(real.dataset)
