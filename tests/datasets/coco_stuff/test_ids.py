"""The table of ids, against mmseg's converters."""
import runpy
from pathlib import Path

import mmseg
import numpy as np
import pytest
from mmseg.datasets import COCOStuffDataset

from mmdistill.datasets.coco_stuff.ids import OFFICIAL, from_matrix, from_pixel_map, train_id
from mmdistill.errors import DistillError

CONVERTERS = Path(mmseg.__file__).parent / '.mim/tools/dataset_converters'


def test_pixel_maps_are_read_as_mmseg_converts_them():
    table = runpy.run_path(str(CONVERTERS / 'coco_stuff164k.py'))['clsID_to_trID']
    assert len(table) == 172
    raw = np.array([sorted(table)], np.uint8)
    assert from_pixel_map(raw, 'x').tolist() == [[table[i] for i in sorted(table)]]


def test_matrices_are_read_as_mmseg_converts_them_with_reduce_zero_label():
    table = runpy.run_path(str(CONVERTERS / 'coco_stuff10k.py'))['clsID_to_trID']
    ids = np.array([sorted(table)], np.uint16)
    assert from_matrix(ids, 'x').tolist() == [[(table[i] - 1) % 256 for i in sorted(table)]]


def test_official_ids():
    names = COCOStuffDataset.METAINFO['classes']
    assert len(OFFICIAL) == len(names) == 171
    assert [train_id(i) for i in OFFICIAL] == list(range(171))
    known = {1: 'person', 13: 'stop sign', 90: 'toothbrush', 92: 'banner', 182: 'wood'}
    assert {i: names[train_id(i)] for i in known} == known
    assert {train_id(i) for i in (0, 12, 91, 183, 300, -1)} == {-1}


@pytest.mark.parametrize('function, ids, say', [
    (from_pixel_map, [3, 11, 11], r"a\.png: id 11 in 2 pixels is not an id of COCO-Stuff.*are these train ids"),
    (from_pixel_map, [200], r'a\.png: id 200 in 1 pixels'),
    (from_matrix, [183], r'a\.png: id 183'), (from_matrix, [12], r'a\.png: id 12'), (from_matrix, [300], 'id 300')])
def test_other_ids(function, ids, say):
    with pytest.raises(DistillError, match=say):
        function(np.array([ids], np.uint16), 'a.png')
