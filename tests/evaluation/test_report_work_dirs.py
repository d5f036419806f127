"""The contents of a work dir, and one line if something is missing or wrong."""
import json
import runpy
import sys

import numpy as np
import pytest

from mmdistill.errors import DistillError
from mmdistill.evaluation.report import read_work_dir


def test_a_comparison_with_everything(measured, run, histograms):
    work = read_work_dir(measured)
    assert work.sets == ['distilled', 'random & real']
    assert list(work.distilled) == ['distilled'] and work.distilled['distilled'].sources == (0, 1, 2)
    assert work.selections() == [('distilled', )] and work.task.name == 'segmentation'
    assert set(work.features) == {'real', 'distilled', 'random & real'}
    np.testing.assert_array_equal(work.histograms, histograms)
    shares = work.real_shares
    assert sum(shares.values()) == pytest.approx(1)
    assert shares['road'] == pytest.approx(histograms[:, 2].sum() / histograms.sum())


def test_shares_of_the_real_set_come_from_the_metrics_where_there_are_no_histograms(measured):
    expected = read_work_dir(measured).real_shares
    (measured / 'class_histograms.npz').unlink()
    assert read_work_dir(measured).real_shares == pytest.approx(expected)


@pytest.mark.parametrize('damage', [b'', b'PK\x03\x04 cut short'])
def test_damaged_histograms_count_as_none(measured, damage):
    (measured / 'class_histograms.npz').write_bytes(damage)
    assert read_work_dir(measured).histograms is None


def test_histograms_of_other_classes_count_as_none(measured):
    np.savez(measured / 'class_histograms.npz', counts=np.ones((10, 3), np.int64))
    assert read_work_dir(measured).histograms is None


def test_sets_from_the_same_samples_are_one_selection(comparison, run):
    file = comparison / 'results.json'
    results = json.loads(file.read_text())
    results['sets'].update(a=str(run / 'distilled'), b=str(run / 'distilled'))
    file.write_text(json.dumps(results))
    assert read_work_dir(comparison).selections() == [('distilled', 'a', 'b')]


def test_no_work_dir(tmp_path):
    with pytest.raises(DistillError, match='no folder .*nowhere'):
        read_work_dir(tmp_path / 'nowhere')
    with pytest.raises(DistillError, match='neither results.json nor a distilled set'):
        read_work_dir(tmp_path)


def test_an_unfinished_set(run):
    (run / 'distilled/meta/distilled.json').unlink()
    with pytest.raises(DistillError, match='unfinished'):
        read_work_dir(run)


@pytest.mark.parametrize('text, what', [
    ('{"runs": []', 'not a readable result'), ('[]', 'not a readable result'),
    ('{"hash": "a", "runs": []}', 'another version .*classes is missing'),
    ('{"hash": 1, "runs": 5, "task": 1, "protocol": 1, "metric": 1, "classes": 1, "notes": 1, "sets": 1, "rows": 1}',
     'another version .*has to be')])
def test_unreadable_results(tmp_path, text, what):
    (tmp_path / 'results.json').write_text(text)
    with pytest.raises(DistillError, match=what):
        read_work_dir(tmp_path)


@pytest.mark.parametrize('change, what', [(lambda r: r['runs'].clear(), 'it has no runs'),
                                          (lambda r: r.pop('task'), 'task is missing'),
                                          (lambda r: r['runs'][1].pop('curve'), 'runs.1.curve is missing')])
def test_results_of_another_version(comparison, change, what):
    file = comparison / 'results.json'
    results = json.loads(file.read_text())
    change(results)
    file.write_text(json.dumps(results))
    with pytest.raises(DistillError, match=f'another version .*{what}'):
        read_work_dir(comparison)


@pytest.mark.parametrize('name, text', [('set_metrics.json', '{"sets": {"distilled": {}}}'), ('set_metrics.json', '{'),
                                        ('features.safetensors', 'nothing')])
def test_unreadable_measurements(measured, name, text):
    (measured / name).write_text(text)
    with pytest.raises(DistillError, match=f'{name} .*remove it'):
        read_work_dir(measured)


def test_the_tool_writes_the_page_or_says_in_one_line_why_not(run, tmp_path, root, monkeypatch, capsys):
    page = tmp_path / 'page.html'
    monkeypatch.setattr(sys, 'argv', ['report.py', str(run), '--out', str(page), '--title', 'A title'])
    runpy.run_path(str(root / 'tools/report.py'), run_name='__main__')
    assert capsys.readouterr().out.strip() == str(page) and '<h1>A title</h1>' in page.read_text()
    monkeypatch.setattr(sys, 'argv', ['report.py', str(tmp_path / 'nowhere')])
    with pytest.raises(SystemExit, match='^error: no folder [^\n]*$'):
        runpy.run_path(str(root / 'tools/report.py'), run_name='__main__')
