"""Weights of images in a manifest, and the targets of a dataset with weights."""
import json

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from mmdistill.datasets import ClassWriter, write_manifest
from mmdistill.datasets.publishing import export_set
from mmdistill.errors import DistillError
from mmdistill.plan import Plan, Request
from tests.datasets.test_distilled import SOURCE, make

WEIGHTS = (0.5, 1.5, 0.0, 2.0, 1.0)
LABELS = (0, 1, 1, 0, 2)


@pytest.fixture(autouse=True)
def host_scope():
    init_default_scope('mmpretrain')


def class_set(root, weights=WEIGHTS):
    """Five images of three classes."""
    writer = ClassWriter(root)
    requests = tuple(Request(f'c{label}/{i:05d}', i, classes=(label, )) for i, label in enumerate(LABELS))
    rng = np.random.default_rng(0)
    for request in requests:
        writer.write(request.id, rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    plan = Plan('D4M', 'hash', 0, ('a', 'b', 'c'), (), 9, requests)
    values = {request.id: weight for request, weight in zip(requests, weights)} if weights else None
    write_manifest(root, plan, writer.layout, {}, image_weights=values)
    return dict(type='mmdistill.DistilledDataset', data_root=str(root))


PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]


def test_targets_are_weights_times_one_hot_rows(tmp_path):
    cfg = dict(class_set(tmp_path / 'set'), pipeline=PIPELINE)
    dataset = DATASETS.build(dict(cfg, weights=True))
    for i, (label, weight) in enumerate(zip(LABELS, WEIGHTS)):
        expected = [weight * (label == one) for one in range(3)]
        assert dataset.get_data_info(i)['gt_score'].tolist() == expected
        sample = dataset[i]['data_samples']
        assert sample.gt_score.tolist() == expected and sample.gt_label.item() == label
    assert 'gt_score' not in DATASETS.build(cfg)[0]['data_samples']
    assert DATASETS.build(dict(cfg, weights=True, indices=[3])).get_data_info(0)['weight'] == 2


def test_a_manifest_has_weights_only_where_they_are_given(tmp_path):
    for name, weights in (('without', None), ('with', WEIGHTS)):
        class_set(tmp_path / name, weights)
        images = json.loads((tmp_path / name / 'meta/distilled.json').read_text())['images']
        assert [image.pop('weight', None) for image in images] == list(weights or [None] * 5)
    export_set(tmp_path / 'with', tmp_path / 'out', 'webdataset')
    content = (tmp_path / 'out/train-000000.tar').read_bytes()
    assert b'"weight": 1.5' in content and b'"weight": 0.0' in content


def test_sets_without_weights_say_so(tmp_path):
    cfg = class_set(tmp_path / 'set', None)
    with pytest.raises(DistillError, match='has no weights in its meta/distilled.json: add an ImageWeightsHook to the '
                                           'config that made it and run it again with --resume, or leave'):
        DATASETS.build(dict(cfg, weights=True))
    with pytest.raises(DistillError, match='all images of .* have the weight 0'):
        DATASETS.build(dict(class_set(tmp_path / 'zero', [0.0] * 5), weights=True))
    make(tmp_path / 'masks', SOURCE)
    with pytest.raises(DistillError, match='is a set for segmentation, whose images have no weights: leave weights'):
        DATASETS.build(dict(cfg, data_root=str(tmp_path / 'masks'), weights=True))


def test_a_union_has_weights_of_all_or_of_none(tmp_path):
    cfg = class_set(tmp_path / 'set')
    weighted = dict(type='RepeatDataset', times=2, dataset=dict(cfg, weights=True, pipeline=PIPELINE))
    union = DATASETS.build(dict(type='mmdistill.UnionDataset', datasets=[weighted, dict(
        cfg, weights=True, pipeline=PIPELINE)]))
    assert len(union) == 15 and union[14]['data_samples'].gt_score.tolist() == [0, 0, 1]
    with pytest.raises(DistillError, match='datasets.1 has weights and datasets.0 has none: give weights=True to all'):
        DATASETS.build(dict(type='mmdistill.UnionDataset', datasets=[dict(cfg, pipeline=PIPELINE), weighted]))

