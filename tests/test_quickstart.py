"""tools/quickstart.py without the work: the commands it runs, and its files."""
import importlib.util
import json
import sys
from types import SimpleNamespace

import pytest
from mmengine.config import Config

import mmdistill.evaluation
import mmdistill.evaluation.report


@pytest.fixture
def quickstart(root, monkeypatch, tmp_path):
    """Runs the tool with arguments; distilling, students and the page are only noted."""
    spec = importlib.util.spec_from_file_location('quickstart', root / 'tools/quickstart.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    noted = SimpleNamespace(tool=tool, distilled=[], compared={}, page=None, work_dir=tmp_path / 'work')

    def distil(config, name, work_dir, cells):
        noted.distilled.append((config.test_cfg.method, work_dir.relative_to(noted.work_dir).as_posix()))
        return dict(seconds=7.0, resumed=False)

    class ComparisonRunner:

        def __init__(self, cfg, work_dir):
            self.cfg = cfg
            assert len(noted.distilled) == 4 or 'unguided' in cfg.training_sets  # nothing is forked later
            noted.compared[work_dir.relative_to(noted.work_dir).as_posix()] = cfg

    def run_comparisons(runners, workers):
        return [results(runner.cfg) for runner in runners]

    def results(cfg):
        metric = 'mIoU' if 'streets' in cfg.protocol else 'top1'
        rows = [dict(set=name, student='default', metric=metric, mean=50.0, std=0.0, seeds=cfg.image_sets,
                     image_sets=1, images=20, seconds=3.0) for name in cfg.training_sets]
        return dict(rows=rows, notes=['A note.'])

    def page(work_dirs, out, **kwargs):
        noted.page = dict(kwargs, work_dirs=work_dirs, out=out)

    monkeypatch.setattr(tool, 'distil', distil)
    monkeypatch.setattr(mmdistill.evaluation, 'ComparisonRunner', ComparisonRunner)
    monkeypatch.setattr(mmdistill.evaluation, 'run_comparisons', run_comparisons)
    monkeypatch.setattr(mmdistill.evaluation.report, 'write_report', page)
    monkeypatch.chdir(root)

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['quickstart.py', '--work-dir', str(noted.work_dir), *args])
        tool.main()
        return json.loads((noted.work_dir / 'results.json').read_text())

    return SimpleNamespace(run=run, noted=noted)


def test_both_parts(quickstart, capsys):
    rows, noted = quickstart.run(), quickstart.noted
    assert noted.distilled == [('D3S2', '.'), ('D4M', 'objects/d4m'), ('DMGD', 'objects/dmgd'),
                               ('unguided', 'objects/unguided')]
    assert [(row['data'], row['set'], row['metric']) for row in rows] == [
        ('streets', 'distilled', 'mIoU'), ('streets', 'random_real', 'mIoU'), ('streets', 'selected_real', 'mIoU'),
        ('objects', 'd4m', 'top1'), ('objects', 'dmgd', 'top1'), ('objects', 'unguided', 'top1'),
        ('objects', 'random_real', 'top1'), ('objects', 'herding_real', 'top1')]
    assert {'set', 'metric', 'mean', 'std', 'seeds', 'seconds'} <= set(rows[0])
    assert noted.compared['comparison'].training_sets.distilled.data_root == str(noted.work_dir / 'distilled')
    assert noted.compared['objects/comparison'].training_sets.d4m.data_root == str(
        noted.work_dir / 'objects/d4m/distilled')
    assert noted.page['work_dirs'] == [noted.work_dir / 'comparison', noted.work_dir / 'objects/comparison']
    assert noted.page['headings'] == list(noted.tool.PARTS.values())
    assert [any('7 s' in note for note in notes) for notes in noted.page['remarks']] == [True, True]
    assert noted.page['commands'][0] == ('This page', 'python tools/quickstart.py')
    printed = capsys.readouterr().out
    assert printed.index('distilled') < printed.index('Object pictures') < printed.index('d4m') < printed.index('Done')


def test_one_part_with_other_sets(quickstart):
    noted = quickstart.noted
    rows = quickstart.run('--parts', 'streets', '--sets', 'distilled', 'unguided', '--seeds', '3')
    assert [(row['set'], row['seeds']) for row in rows] == [('distilled', 3), ('unguided', 3)]
    assert noted.distilled == [('D3S2', '.'), ('D3S2', 'unguided')]
    assert noted.page['commands'][0][1] == (
        'python tools/quickstart.py --seeds 3 --sets distilled unguided --parts streets')


def test_all_picture_sets_are_in_the_comparison(quickstart, root):
    tool = quickstart.noted.tool
    sets = Config.fromfile(root / 'configs/evaluation/convnet4_ipc10_objects-64px.py').training_sets
    assert {name: f'work_dirs/quickstart/objects/{name}/distilled' for name in tool.OBJECTS} == {
        name: spec.data_root for name, spec in sets.items() if 'data_root' in spec}


@pytest.mark.parametrize('args', [['--seeds', '0'], ['--workers', '0'], ['--parts', 'photos'], ['--sets', 'd4m']])
def test_bad_arguments(quickstart, args):
    with pytest.raises(SystemExit):
        quickstart.run(*args)
