"""Cells, rare classes and the rows of results.json."""
import json
import math

import numpy as np
import pytest

from mmdistill.evaluation import Cells, format_results, mean_iou, rare_classes, summarise


def test_a_cell_is_measured_once(tmp_path):
    calls = []

    def measure():
        calls.append(1)
        return dict(mIoU=50.0, lost=math.nan)

    key = dict(set='distilled', seed=0, lr=0.1)
    for _ in range(2):
        metrics = Cells(tmp_path / 'cells').measure(dict(reversed(key.items())), measure)
        assert metrics['mIoU'] == 50 and math.isnan(metrics['lost'])
    assert len(calls) == 1
    Cells(tmp_path / 'cells').measure(dict(key, seed=1), measure)
    assert len(calls) == 2
    assert len(list((tmp_path / 'cells').iterdir())) == 2


@pytest.mark.parametrize('text', ['', '{"metrics": {"mIoU": 5', '[]', '{}'])
def test_a_damaged_cell_counts_as_none(tmp_path, text):
    cells = Cells(tmp_path)
    cells.path(dict(seed=0)).write_text(text)
    assert cells.get(dict(seed=0)) is None
    assert cells.measure(dict(seed=0), lambda: dict(mIoU=1.0)) == dict(mIoU=1.0)
    assert cells.get(dict(seed=0)) == dict(mIoU=1.0)


def test_rare_classes_are_under_the_share_and_present():
    histograms = np.array([[900, 50, 3, 0, 8], [930, 95, 6, 0, 8]])  # of 2000: 1830, 145, 9, 0, 16
    assert rare_classes(histograms, 'abcde') == ['c', 'e']
    assert rare_classes(histograms, 'abcde', share=0.005) == ['c']
    # exactly the share is not under it
    assert rare_classes(np.array([[99, 1]]), 'ab') == []


def test_mean_iou_leaves_absent_classes_out():
    metrics = {'IoU.a': 10.0, 'IoU.b': math.nan, 'IoU.c': 40.0}
    assert mean_iou(metrics, 'abc') == 25
    assert math.isnan(mean_iou(metrics, 'b'))


def test_summarise_is_mean_and_sample_deviation():
    runs = [dict(mIoU=70.0, rare_IoU=40.0, seconds=10.0), dict(mIoU=74.0, rare_IoU=50.0, seconds=20.0),
            dict(mIoU=75.0, rare_IoU=30.0, seconds=30.0)]
    rows = summarise(dict(distilled=runs, random_real=runs[:1]), ['mIoU', 'rare_IoU'])
    assert [(row['set'], row['metric']) for row in rows] == [
        (name, metric) for name in ('distilled', 'random_real') for metric in ('mIoU', 'rare_IoU')]
    assert rows[0] == dict(set='distilled', metric='mIoU', mean=73.0, seeds=3, seconds=20.0,
                           std=round(float(np.std([70, 74, 75], ddof=1)), 4))
    assert rows[2] == dict(set='random_real', metric='mIoU', mean=70.0, std=0.0, seeds=1, seconds=10.0)
    json.dumps(rows, allow_nan=False)


def test_table_is_aligned():
    rows = summarise(dict(distilled=[dict(a=70.04, seconds=9.6)] * 2, random_real=[dict(a=7.0, seconds=10.0)]), ['a'])
    lines = format_results(rows).split('\n')
    assert [line.split() for line in lines] == [
        ['set', 'a', 'seeds', 's', 'a', 'student'], ['distilled', '70.0', '±', '0.0', '2', '10'],
        ['random_real', '7.0', '1', '10']]
    assert len({len(line) for line in lines}) == 1
