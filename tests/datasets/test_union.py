import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS as MMSEG_DATASETS

from mmdistill.datasets.layouts import LAYOUTS
from mmdistill.errors import DistillError
from tests.datasets.test_distilled import PIPELINE, SOURCE, make


@pytest.fixture(autouse=True)
def host_scope():
    init_default_scope('mmseg')


def union(*datasets, **settings):
    return MMSEG_DATASETS.build(dict(type='mmdistill.UnionDataset', datasets=list(datasets), **settings))


def test_members_keep_their_encodings(tmp_path):
    """A distilled set in ADE20K's encoding, one with a label map, and a dataset of mmseg with another one."""
    expected = []
    for name, layout in (('a', LAYOUTS['ade20k']), ('b', SOURCE), ('c', LAYOUTS['coco_stuff164k'])):
        expected += make(tmp_path / name, layout)[1]
    plain = dict(type='BaseSegDataset', data_root=str(tmp_path / 'c'), seg_map_suffix='_labelTrainIds.png', indices=[2],
                 data_prefix=dict(img_path='images/train2017', seg_map_path='annotations/train2017'),
                 metainfo=dict(classes=['sky', 'road', 'car'], palette=[[1, 1, 1], [2, 2, 2], [3, 3, 3]]))
    distilled = [dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path / name)) for name in 'ab']
    dataset = union(*distilled, plain, pipeline=PIPELINE)
    assert len(dataset) == 7 and dataset.metainfo['classes'] == ('sky', 'road', 'car')
    for number, mask in enumerate(expected[:7]):  # file c is the first of the plan and the last by name
        np.testing.assert_array_equal(dataset[number]['data_samples'].gt_sem_seg.data[0].numpy(), mask)
    own = union(dict(distilled[0], pipeline=[]), plain, pipeline=PIPELINE)
    assert 'data_samples' not in own[0] and 'data_samples' in own[3]


def test_members_may_be_wrapped(tmp_path):
    make(tmp_path, LAYOUTS['ade20k'])
    one = dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path))
    repeated = dict(type='RepeatDataset', times=2, dataset=one)
    dataset = union(repeated, one, pipeline=PIPELINE)
    assert len(dataset) == 9 and 'data_samples' in dataset[8] and 'data_samples' in dataset[0]
    assert dataset.get_data_info(3)['img_path'] == dataset.get_data_info(6)['img_path']


def test_other_classes_are_refused(tmp_path):
    make(tmp_path, LAYOUTS['ade20k'])
    one = dict(type='mmdistill.DistilledDataset', data_root=str(tmp_path))
    other = dict(type='BaseSegDataset', data_root=str(tmp_path), data_prefix=dict(img_path='images/training'),
                 metainfo=dict(classes=('road', 'sky', 'car'), palette=[[1, 1, 1]] * 3))
    with pytest.raises(DistillError, match='the classes of datasets.1 are not those of datasets.0'):
        union(one, other)
    with pytest.raises(DistillError, match='has no dataset'):
        union()
