"""A comparison trains each cell once, continues after an interruption, and refuses results of other comparisons."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdistill.cli import main
from mmdistill.datasets.manifest import MANIFEST, manifest_checksum, read_manifest
from mmdistill.errors import DistillError
from mmdistill.evaluation import ComparisonRunner, workers
from mmdistill.evaluation.dry_run import plan_text
from mmdistill.evaluation.protocols import joined
from mmdistill.evaluation.report.work_dirs import read_work_dir
from mmdistill.evaluation.results import published_table

CONFIG = """
_base_ = ['{root}/configs/_base_/datasets/streets.py']
train_dataset = dict(num_scenes=9)
test_dataset = dict(num_scenes=4)
protocol = '{folder}/protocol.py'
training_sets = dict(
    random_real=dict(selector=dict(type='RandomSelector')),
    distilled=dict(data_root='{folder}/distilled'))
budget = 3
image_sets = 2
evaluations = 2
"""
PROTOCOL = """
_base_ = ['{root}/configs/students/unet_streets-64x64.py']
model = dict(backbone=dict(base_channels=4), decode_head=dict(in_channels=4, channels=4))
train_cfg = dict(max_iters={iters}, val_interval=1)
train_dataloader = dict(batch_size=2)
param_scheduler = []
"""


@pytest.fixture
def config(run, root):
    """The path of a comparison of two sets under a protocol of three iterations."""
    (run / 'protocol.py').write_text(PROTOCOL.format(root=root, iters=3))
    (run / 'comparison.py').write_text(CONFIG.format(root=root, folder=run))
    return run / 'comparison.py'


@pytest.fixture
def counted(monkeypatch):
    """The jobs that are trained, in order; in this process."""
    trained = []

    def run_here(jobs, count=None):
        for job in jobs:
            if job.result is None:
                trained.append((job.set, job.image_set, job.arguments['seed']))
                job.cache.put(job.key, workers.train_student(**job.arguments))
                assert job.metric in job.result

    monkeypatch.setattr('mmdistill.evaluation.comparison_runner.run_jobs', run_here)
    return trained


def test_each_image_set_of_a_comparison_has_its_table(config, counted, tmp_path):
    roots = [str(config.parent / 'distilled'), str(tmp_path / 'second')]
    shutil.copytree(*roots)
    cfg = Config.fromfile(config)
    cfg.image_sets, cfg.training_sets.distilled = 2, dict(data_root=roots)
    results = ComparisonRunner(cfg, tmp_path / 'work').run()
    assert results['sets'] == dict(distilled=roots, random_real=None)
    assert f'distilled: {", ".join(roots)}' in plan_text(ComparisonRunner(cfg, tmp_path / 'work'))
    tables = {published_table(tmp_path / 'work', root) for root in roots}
    assert len(tables) == 1 and '| distilled' in tables.pop()
    with pytest.raises(DistillError, match='is not one of the compared sets'):
        published_table(tmp_path / 'work', tmp_path)
    work = read_work_dir(tmp_path / 'work')
    assert str(work.distilled['distilled'].root) == roots[0] and work.notes == [
        'The images of distilled are those of the first of its 2 image sets.']


def test_a_union_is_trained_on_as_one_set(config, counted, tmp_path):
    cfg = Config.fromfile(config)
    cfg.image_sets, cfg.training_sets.both = 1, dict(union=['distilled', 'random_real'])
    results = ComparisonRunner(cfg, tmp_path / 'a').run()
    assert [one[0] for one in counted] == ['random_real', 'distilled', 'both']
    assert [run['images'] for run in results['runs']] == [3, 3, 6] and results['sets']['both'] is None
    assert len({run['metrics']['mIoU'] for run in results['runs']}) == 3
    ComparisonRunner(cfg, tmp_path / 'a').run()
    assert len(counted) == 3
    root = config.parent / 'distilled'
    manifest = read_manifest(root)  # a member changes
    first, last = manifest['images'][0], manifest['images'][-1]
    (root / first['image']).write_bytes((root / last['image']).read_bytes())
    first['sha256']['image'] = last['sha256']['image']
    (root / MANIFEST).write_text(json.dumps(dict(manifest, checksum=manifest_checksum(manifest))))
    ComparisonRunner(cfg, tmp_path / 'a').run()
    assert [one[0] for one in counted[3:]] == ['distilled', 'both']


def test_cells_are_trained_once_and_repeat_themselves(config, counted, tmp_path):
    cfg = Config.fromfile(config)
    runner = ComparisonRunner(cfg, tmp_path / 'a')
    results = runner.run()
    assert counted == [('random_real', 0, 0), ('distilled', 0, 0), ('random_real', 1, 1), ('distilled', 0, 1)]
    assert json.loads((tmp_path / 'a/results.json').read_text()) == json.loads(json.dumps(results))
    assert results['task'] == 'segmentation' and results['metric'] == 'mIoU'
    first = results['runs'][0]
    assert list(first['metrics']) == ['mIoU', 'best', 'rare_IoU']
    assert [step for step, _ in first['curve']] == [2, 3]
    assert first['metrics']['mIoU'] == first['curve'][-1][1] <= first['metrics']['best']
    assert set(first['classes']) == set(results['classes']) and first['images'] == 3
    assert len({run['metrics']['mIoU'] for run in results['runs']}) == 4  # another seed, another number
    assert [row['seeds'] for row in results['rows'] if row['metric'] == 'mIoU'] == [2, 2]

    ComparisonRunner(cfg, tmp_path / 'a').run()
    assert len(counted) == 4
    runner.cache.path(runner.jobs()[1].key).unlink()  # as if it had been killed in that training
    again = ComparisonRunner(cfg, tmp_path / 'a').run()
    assert counted[4:] == [('distilled', 0, 0)]
    for one, other in zip(results['runs'], again['runs']):
        assert {**one, 'seconds': 0} == {**other, 'seconds': 0}


def test_a_dry_run_says_what_is_left_and_writes_nothing(config, counted, tmp_path, capsys):
    def files():
        return {path: path.is_file() and path.stat().st_mtime_ns for path in tmp_path.rglob('*')}

    def lines(*options):
        before = files()
        capsys.readouterr()
        main(['evaluate', str(config), '--work-dir', str(tmp_path / 'work'), '--dry-run', '--cfg-options', *options])
        assert before == files()
        return capsys.readouterr().out.splitlines()

    first = ['Protocol protocol: mIoU on 4 test images; 3 iterations of batch size 2', 'Training sets:',
             '  random_real: 3 images, 2 image sets, real ones by RandomSelector',
             f'  distilled: 3 images, distilled: {config.parent}/distilled', 'Students: default',
             'Plan: 2 training sets x 1 student x 2 runs = 4 trainings; 0 finished, 4 left',
             f'Output: {tmp_path}/work']
    assert lines('trainings=1') == first and not counted
    main(['evaluate', str(config), '--work-dir', str(tmp_path / 'work')])
    found = lines('trainings=2')
    # The second run was one of the other random set.
    assert found[2:4] == [f'{first[2 + n]}; {n + 1} of 4 trainings finished' for n in range(2)]
    assert found[5].endswith(' x 4 runs = 8 trainings; 3 finished, 5 left')
    (config.parent / 'distilled/meta/distilled.json').unlink()
    (config.parent / 'plan.json').touch()
    with pytest.raises(SystemExit, match='distilled has no meta/distilled.json, so it is unfinished: .* or leave'):
        lines('trainings=1')


@pytest.mark.parametrize('spec', [
    dict(data_root='{root}'), dict(dataset=dict(type='mmdistill.DistilledDataset', data_root='{root}', indices=2)),
    dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(
        type='mmdistill.DistilledDataset', data_root='{root}')))])
def test_an_altered_set_is_an_error(config, counted, tmp_path, spec):
    root = config.parent / 'distilled'
    cfg = Config.fromfile(config)
    cfg.training_sets = eval(repr(dict(distilled=spec, again=spec)).replace('{root}', str(root)))
    cfg.dump(tmp_path / 'comparison.py')
    command = ['evaluate', str(tmp_path / 'comparison.py'), '--work-dir', str(tmp_path / 'work')]
    main([*command, '--dry-run'])
    first, other = sorted((root / 'images').iterdir())[:2]
    first.write_bytes(other.read_bytes())
    for option in (['--dry-run'], []):
        with pytest.raises(SystemExit) as end:
            main([*command, *option])
        line, = str(end.value.code).splitlines()  # once per set
        assert re.match(f"error: training_sets.again.*data_root: {root} is incomplete or damaged: images/"
                        f"{first.name} was changed: its checksum differs; copy the set again, or", line)
    assert not counted


def test_one_option_asks_for_the_validation_set(config, counted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = config.read_text() + "val_dataset = dict(_base_.test_dataset, split='val', num_scenes=5)\nimage_sets = 1\n"
    config.write_text(text)
    main(['evaluate', str(config)])
    main(['evaluate', str(config), '--cfg-options', 'split=val'])
    found = {}
    for folder, note in (('comparison', '4 test images'), ('comparison_val', '5 validation images')):
        results = json.loads(Path('work_dirs', folder, 'results.json').read_text())
        assert f'mIoU on {note} after the last iteration' in results['notes'][0]
        assert '2 evaluations on the test set' in results['notes'][1] or folder.endswith('val')
        found[folder] = [run['metrics']['mIoU'] for run in results['runs']]
    assert len(counted) == 4 and found['comparison'] != found['comparison_val']
    cfg = Config.fromfile(config)
    cfg.split = 'val'
    assert {job.arguments['student_cfg'].test_dataloader.dataset.split
            for job in ComparisonRunner(cfg, tmp_path / 'a').jobs()} == {'val'}
    with pytest.raises(DistillError, match='another protocol, schedule or test set'):
        ComparisonRunner(cfg, 'work_dirs/comparison')


def test_a_part_of_a_distilled_set_is_another_set(config, counted, tmp_path):
    cfg = Config.fromfile(config)
    part = dict(type='mmdistill.DistilledDataset', data_root=cfg.training_sets.distilled.data_root)
    cfg.training_sets = dict(distilled=cfg.training_sets.distilled, all=dict(dataset=part),
                             part=dict(dataset=[dict(part, indices=2), dict(part, indices=[1, 2])]))
    jobs = ComparisonRunner(cfg, tmp_path / 'a').jobs()
    assert [(job.set, job.images) for job in jobs] == [
        ('distilled', 3), ('all', 3), ('part', 2), ('distilled', 3), ('all', 3), ('part', 2)]
    contents = [json.dumps(job.key['train']) for job in jobs]
    assert contents[0] == contents[1] and len(set(contents)) == 3


def test_students_with_class_weights_of_the_training_set(config, counted, tmp_path):
    """The protocol with ImageNet weights, here without them: another number of classes, every size of image."""
    cfg = Config.fromfile(config)
    cfg.protocol, cfg.evaluations, cfg.image_sets = 'mmseg_pretrained-tiny', 1, 1
    cfg.overrides = {'model.backbone.pretrained': False, 'train_cfg.max_iters': 1, 'train_dataloader.batch_size': 2,
                     'train_dataloader.dataset.pipeline.Resize.scale': (72, 40)}
    results = ComparisonRunner(cfg, tmp_path / 'a').run()
    assert len(counted) == 2 and all(0 <= run['metrics']['mIoU'] <= 100 for run in results['runs'])


def test_an_ignored_id_of_the_datasets_is_told(config, tmp_path):
    cfg = Config.fromfile(config)
    assert not any('ignore_index' in note for note in ComparisonRunner(cfg, tmp_path / 'a').notes())
    cfg.train_dataset.ignore_index = 3
    notes = ComparisonRunner(cfg, tmp_path / 'b').notes()
    assert any(note.startswith('ignore_index of the datasets: 3, 255.') for note in notes)


def test_a_comparison_grows_but_does_not_change(config, counted, tmp_path):
    cfg = Config.fromfile(config)
    cfg.image_sets = 1
    ComparisonRunner(cfg, tmp_path / 'a').run()
    cfg.training_sets.selected_real = dict(source_of='distilled')
    rows = ComparisonRunner(cfg, tmp_path / 'a').run()['rows']
    assert counted == [('random_real', 0, 0), ('distilled', 0, 0), ('selected_real', 0, 0)]
    means = {row['set']: row['mean'] for row in rows if row['metric'] == 'mIoU'}
    assert means['selected_real'] == means['distilled']  # the fixture's distilled images are the real ones
    cfg.overrides = dict(train_dataloader=dict(batch_size=3))
    notes = ComparisonRunner(cfg, tmp_path / 'b').notes()
    assert 'Deviations from the protocol: {"train_dataloader": {"batch_size": 3}}.' in notes
    say = 'overrides.train_dataloader is not set in the results and {\'batch_size\': 3} in the config'
    with pytest.raises(DistillError, match='another protocol, schedule or test set .*' + re.escape(say)):
        ComparisonRunner(cfg, tmp_path / 'a')


@pytest.mark.parametrize('overrides', [
    {'train_cfg.max_iters': 2}, dict(train_cfg=dict(max_iters=2)),
    {'train_cfg': dict(val_interval=1), 'train_cfg.max_iters': 2}])
def test_the_command_line_wins_over_any_form_of_overrides(config, tmp_path, capsys, overrides):
    config.write_text(f'{config.read_text()}overrides = {overrides!r}\n')
    main(['evaluate', str(config), '--work-dir', str(tmp_path / 'work'), '--dry-run',
          '--cfg-options', 'overrides.train_cfg.max_iters=5'])
    assert '; 5 iterations of batch size 2' in capsys.readouterr().out


def test_overrides_in_both_forms_are_noted_once(config, tmp_path):
    cfg = Config.fromfile(config)
    cfg.overrides = {'train_cfg.max_iters': 6, 'train_dataloader.batch_size': 2, 'train_cfg': dict(max_iters=30),
                     'train_cfg.val_begin': 2}
    notes = ComparisonRunner(cfg, tmp_path).notes()
    assert ('Deviations from the protocol: {"train_cfg": {"max_iters": 30, "val_begin": 2}, '
            '"train_dataloader.batch_size": 2}.') in notes
    first, last = dict(type='mmseg.Resize', scale=(8, 8)), dict(type='Flip', _delete_=True)
    assert joined({'model.pipeline': [first], 'model': dict(pipeline=dict(Resize=dict(scale=9)), head=last)}) == dict(
        model=dict(pipeline=[dict(first, scale=9)], head=last))


def test_processes_share_the_cells(config, counted, tmp_path):
    cfg = Config.fromfile(config)
    assert ComparisonRunner(cfg, tmp_path / 'a').run(rank=1, world=2) == {}
    assert len(counted) == 2 and not (tmp_path / 'a/results.json').exists()
    results = ComparisonRunner(cfg, tmp_path / 'a').run(rank=0, world=2)
    assert len(counted) == len(set(counted)) == 4 == len(results['runs'])


@pytest.mark.parametrize('change,message', [
    (dict(protocol='idc_soft'), "no protocol 'idc_soft': choose among .*idc_hard"),
    (dict(protocol='nowhere/x.py'), 'no config at nowhere/x.py'),
    (dict(training_sets=None), 'the evaluation config has no training_sets'),
    (dict(trainings=0), 'trainings=0 is out of range: it has to be at least 1'),
])
def test_bad_configs(config, tmp_path, change, message):
    cfg = Config.fromfile(config)
    cfg.update(change)
    with pytest.raises(DistillError, match=message):
        ComparisonRunner(cfg, tmp_path / 'a')


def test_a_kill_loses_only_the_current_cell(config, root, tmp_path):
    work = tmp_path / 'a'
    command = [sys.executable, str(root / 'tools/evaluate.py'), str(config), '--work-dir', str(work), '--workers', '1']
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not list(work.glob('cells/*.json')):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in work.glob('cells/*.json')}
    assert 1 <= len(kept) < 4 and not (work / 'results.json').exists()
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert f'{4 - len(kept)} students to train' in done.stdout
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in work.glob('cells/*.json')}.items()
    table = (work / 'results.md').read_text()
    assert '| random_real |' in table and 'Protocol `protocol`' in table
    (work / 'results.json').write_text('{')
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f'error: {work}/results.json is not a readable result')
