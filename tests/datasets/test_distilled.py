import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS as MMSEG_DATASETS

from mmdistill.datasets import DatasetMasks
from mmdistill.datasets.layouts import LAYOUTS, SegLayout
from mmdistill.datasets.manifest import write_manifest
from mmdistill.datasets.writers import SegWriter
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
NAMES = ('c', 'a', 'b')  # the plan's order is not the alphabet's
SOURCE = SegLayout('source', '', 'gt', '.png', '_gt.png', True, 3, ((0, 2), (1, 255), (2, 0), (3, 1)), 'list.txt')


@pytest.fixture(autouse=True)
def host_scope():
    init_default_scope('mmseg')


def make(root, layout):
    rng = np.random.default_rng(1)
    masks = [np.where(rng.random((16, 24)) < .2, 255, rng.integers(0, 3, (16, 24))).astype(np.uint8) for _ in NAMES]
    images = [np.full((16, 24, 3), (250, 10 * i, 0), np.uint8) for i in range(3)]
    plan = Plan('D3S2', 'h', 0, ('sky', 'road', 'car'), ((9, 8, 7), (6, 5, 4), (3, 2, 1)), 9,
                tuple(Request(name, i, i, f's{i}') for i, name in enumerate(NAMES)))
    writer = SegWriter(root, layout)
    for name, image, mask in zip(NAMES, images, masks):
        writer.write(name, image, mask)
    write_manifest(root, plan, layout, {})
    return images, masks


@pytest.mark.parametrize('layout', [*LAYOUTS.values(), SOURCE], ids=lambda layout: layout.name)
def test_reads_any_layout_in_the_scope_of_mmseg(tmp_path, layout):
    images, masks = make(tmp_path, layout)
    dataset = MMSEG_DATASETS.build(
        dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path), pipeline=PIPELINE))
    assert isinstance(dataset, BaseSegDataset)
    assert dataset.metainfo['classes'] == ('sky', 'road', 'car')
    assert [list(c) for c in dataset.metainfo['palette']] == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]
    assert len(dataset) == 3
    ours = DatasetMasks(dataset)  # what a judge and the set metrics see
    for index, mask in enumerate(masks):
        np.testing.assert_array_equal(ours.checked_mask(index), mask)
    for sample, image, mask in zip(dataset, images, masks):
        np.testing.assert_array_equal(sample['data_samples'].gt_sem_seg.data[0].numpy(), mask)
        bgr = sample['inputs'].numpy().transpose(1, 2, 0)
        assert np.abs(bgr[..., ::-1].astype(int) - image).max() < 8


def test_arguments_of_openmmlab_work(tmp_path):
    make(tmp_path, LAYOUTS['ade20k'])
    dataset = MMSEG_DATASETS.build(
        dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path), indices=[2], reduce_zero_label=True))
    assert [info['img_path'].rpartition('/')[2] for info in dataset] == ['b.jpg']


@pytest.mark.parametrize('key, value', [
    ('reduce_zero_label', False), ('img_suffix', '.png'), ('data_prefix', dict(img_path='x', seg_map_path='y')),
    ('metainfo', dict(classes=('one', 'two')))])
def test_an_argument_against_the_manifest(tmp_path, key, value):
    make(tmp_path, LAYOUTS['ade20k'])
    with pytest.raises(DistillError, match='leave'):
        MMSEG_DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path), **{key: value}))


@pytest.mark.parametrize('lost', ['images/training/a.jpg', 'annotations/training/a.png'])
def test_a_listed_file_is_missing(tmp_path, lost):
    make(tmp_path, LAYOUTS['ade20k'])
    (tmp_path / lost).unlink()
    with pytest.raises(DistillError, match=f'{lost} is in meta/distilled.json but not on disk') as caught:
        MMSEG_DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path)))
    assert '\n' not in str(caught.value)


def test_unfinished_set(tmp_path):
    (tmp_path / 'plan.json').touch()
    with pytest.raises(DistillError, match='so it is unfinished: run mmdistill distill … --resume'):
        MMSEG_DATASETS.build(dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path)))
