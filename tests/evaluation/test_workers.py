"""The training of students continues if one of its processes dies."""
import os
import re
import signal
import time

import pytest

from mmdistill.errors import DistillError
from mmdistill.evaluation import workers
from mmdistill.evaluation.results import ResultCache
from mmdistill.evaluation.workers import Job, run_jobs


def train(seed, folder, name, deaths):
    """A student that kills its process some times, and notes each start."""
    with open(folder / name, 'a') as file:
        file.write('.')
    if (folder / name).stat().st_size <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return dict(mIoU=float(name), seconds=0.1)


def wrong(seed):
    if seed:
        raise DistillError('no image')
    time.sleep(60)


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Four jobs; ``deaths`` says by a job's name how often it kills its process."""
    monkeypatch.setattr(workers, 'train_student', train)
    return lambda deaths: [
        Job('set', 'student', 0, 1, dict(name=name),
            dict(seed=0, folder=tmp_path, name=name, deaths=deaths.get(name, 0)), ResultCache(tmp_path / 'cells'),
            'mIoU')
        for name in '0123']


@pytest.mark.parametrize('count', [1, 2, 4])
def test_students_of_a_killed_process_are_trained_again(jobs, tmp_path, capsys, count):
    made = jobs({'2': 1})
    run_jobs(made, count)
    assert [job.result['mIoU'] for job in made] == [0, 1, 2, 3]
    text = capsys.readouterr().out
    assert text.count(f'died, killed or out of memory: its students are trained again, {max(1, count // 2)} at a '
                      'time') == 1
    assert re.search(r'^\[4/4\] set, student, image set 0, seed 0: mIoU \d.0, 0 s$', text, re.M)
    assert (tmp_path / '2').read_text() == '..'


def test_a_student_that_kills_its_process_does_not_affect_others(jobs, tmp_path):
    made = jobs({'3': 100})
    with pytest.raises(DistillError, match='a process that trains students died, .*; 3 of 4 students finished and '
                                           'saved: .*'):
        run_jobs(made, 2)
    assert [job.result is None for job in made] == [False, False, False, True]


def test_a_mistake_ends_the_others_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, 'train_student', wrong)
    start = time.monotonic()
    with pytest.raises(DistillError, match='no image'):
        run_jobs([Job('set', 'student', 0, 1, dict(i=i), dict(seed=i), ResultCache(tmp_path / 'cells'), 'mIoU')
                  for i in range(2)], 2)
    assert time.monotonic() - start < 10



def pretend(seed, seconds):
    return dict(mIoU=1.0, top1=2.0, seconds=seconds)


def test_students_of_two_comparisons_are_trained_together(tmp_path, monkeypatch, capsys):
    """Each result goes to its own comparison; the time left is that of each kind of student, not of their mean."""
    monkeypatch.setattr(workers, 'train_student', pretend)
    slow, fast = [(ResultCache(tmp_path / metric), metric, seconds) for metric, seconds in (('mIoU', 60), ('top1', 1))]
    made = [Job('set', 'student', 0, 1, dict(i=i), dict(seed=i, seconds=seconds), cache, metric)
            for i, (cache, metric, seconds) in enumerate([slow, fast, fast, slow])]
    run_jobs(made, 1)
    assert all(job.result['seconds'] == job.arguments['seconds'] for job in made)
    assert [len([*(tmp_path / metric).glob('*.json')]) for metric in ('mIoU', 'top1')] == [2, 2]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == ('4 students to train, 1 at a time; results are saved in '
                        f'{tmp_path / "mIoU"}, {tmp_path / "top1"}')
    assert [line.partition(': ')[2] for line in lines[2:]] == [
        'mIoU 1.0, 60 s; about 180 s left',  # the second kind is not known yet
        'top1 2.0, 1 s; about 61 s left', 'top1 2.0, 1 s; about 60 s left', 'mIoU 1.0, 60 s']
    slow[0].path(made[0].key).unlink()
    run_jobs(made, 1)
    assert capsys.readouterr().out.splitlines()[1].startswith('1 student to train, 1 at a time; ')
