"""ResultCache, rare classes and the table of results."""
import json
import math

import numpy as np
import pytest

from mmdistill.errors import DistillError
from mmdistill.evaluation import ResultCache, markdown, rare_classes, read_results, summarise, table_cells
from mmdistill.evaluation.results import mean_of


def test_a_cell_is_found_by_its_key_in_any_order(tmp_path):
    key = dict(set='distilled', seed=0, lr=0.1)
    ResultCache(tmp_path / 'cells').put(key, dict(mIoU=50.0, lost=math.nan))
    metrics = ResultCache(tmp_path / 'cells').get(dict(reversed(key.items())))
    assert metrics['mIoU'] == 50 and math.isnan(metrics['lost'])
    assert ResultCache(tmp_path / 'cells').get(dict(key, seed=1)) is None


@pytest.mark.parametrize('text', ['', '{"metrics": {"mIoU": 5', '[]', '{}'])
def test_a_damaged_cell_counts_as_none(tmp_path, text):
    cache = ResultCache(tmp_path)
    cache.path(dict(seed=0)).write_text(text)
    assert cache.get(dict(seed=0)) is None
    cache.put(dict(seed=0), dict(mIoU=1.0))
    assert cache.get(dict(seed=0)) == dict(mIoU=1.0)


def test_a_cell_with_a_changed_number_is_trained_again(tmp_path):
    cache = ResultCache(tmp_path)
    cache.put(dict(seed=0), dict(mIoU=51.0, curve=[[1, 50.5]]))
    path = cache.path(dict(seed=0))
    path.write_text(path.read_text().replace('50.5', '50.6'))
    assert cache.get(dict(seed=0)) is None


def test_rare_classes_are_under_the_share_and_present():
    histograms = np.array([[900, 50, 3, 0, 8], [930, 95, 6, 0, 8]])  # of 2000: 1830, 145, 9, 0, 16
    assert rare_classes(histograms, 'abcde') == ['c', 'e']
    assert rare_classes(histograms, 'abcde', share=0.005) == ['c']
    # exactly the share is not under it
    assert rare_classes(np.array([[99, 1]]), 'ab') == []


def test_mean_leaves_absent_classes_out():
    values = dict(a=10.0, b=None, c=40.0)
    assert mean_of(values.values()) == 25
    assert mean_of([None]) is None


def _run(name, value, image_set=0, student='unet', seconds=10.0, **metrics):
    return dict(set=name, student=student, images=20, image_set=image_set, seconds=seconds,
                metrics=dict(mIoU=value, **metrics))


def test_summarise_is_mean_and_sample_deviation():
    runs = [_run('distilled', 70.0, seconds=10.0, rare_IoU=40.0), _run('distilled', 74.0, seconds=20.0, rare_IoU=None),
            _run('distilled', 75.0, 1, seconds=30.0, rare_IoU=30.0), _run('random_real', 70.0),
            _run('random_real', 60.0, student='other')]
    rows = summarise(runs)
    assert [(row['set'], row['student'], row['metric']) for row in rows] == [
        ('distilled', 'unet', 'mIoU'), ('distilled', 'unet', 'rare_IoU'), ('random_real', 'unet', 'mIoU'),
        ('random_real', 'other', 'mIoU')]
    assert rows[0] == dict(set='distilled', student='unet', metric='mIoU', mean=73.0, seeds=3, image_sets=2, images=20,
                           seconds=20.0, std=round(float(np.std([70, 74, 75], ddof=1)), 4))
    assert rows[1]['mean'] == 35 and rows[1]['seeds'] == 2
    assert rows[2]['std'] == 0 and rows[2]['seeds'] == 1
    json.dumps(rows, allow_nan=False)


def test_the_table_names_students_only_where_there_are_several():
    rows = summarise([_run('distilled', 70.04), _run('distilled', 70.04), _run('random_real', 7.0)])
    assert table_cells(rows) == [['set', 'images', 'mIoU', 'image sets', 'runs', 's per run'],
                                 ['distilled', '20', '70.0 ± 0.0', '1', '2', '10'],
                                 ['random_real', '20', '7.0', '1', '1', '10']]
    lines = markdown(table_cells(rows)).split('\n')
    assert len({len(line) for line in lines}) == 1 and len(lines) == 4
    assert set(lines[1]) == set('| -')
    rows += summarise([_run('distilled', 50.0, student='other')])
    assert [line[1] for line in table_cells(rows)] == ['student', 'unet', 'unet', 'other']


@pytest.mark.parametrize('text', ['', '[]', '{"hash": "a"}', '{"runs": []'])
def test_a_damaged_result_is_named(tmp_path, text):
    (tmp_path / 'results.json').write_text(text)
    with pytest.raises(DistillError, match='results.json is not a readable result'):
        read_results(tmp_path)


def test_a_result_of_another_protocol_is_refused(tmp_path):
    assert read_results(tmp_path) is None
    (tmp_path / 'results.json').write_text('{"hash": "a", "runs": []}')
    assert read_results(tmp_path, expected='a')['runs'] == []
    with pytest.raises(DistillError, match='another protocol, schedule or test set'):
        read_results(tmp_path, expected='b')
