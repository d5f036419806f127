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
            dict(seed=0, folder=tmp_path, name=name, deaths=deaths.get(name, 0)))
        for name in '0123']


def say(result):
    return f'mIoU {result["mIoU"]}'


@pytest.mark.parametrize('count', [1, 2, 4])
def test_students_of_a_killed_process_are_trained_again(jobs, tmp_path, capsys, count):
    cache, made = ResultCache(tmp_path / 'cells'), jobs({'2': 1})
    run_jobs(made, cache, say, count)
    assert [cache.get(job.key)['mIoU'] for job in made] == [0, 1, 2, 3]
    text = capsys.readouterr().out
    assert text.count(f'died, killed or out of memory: its students are trained again, {max(1, count // 2)} at a '
                      'time') == 1
    assert re.search(r'^\[4/4\]', text, re.M)
    assert (tmp_path / '2').read_text() == '..'


def test_a_student_that_kills_its_process_does_not_affect_others(jobs, tmp_path):
    cache, made = ResultCache(tmp_path / 'cells'), jobs({'3': 100})
    with pytest.raises(DistillError, match='a process that trains students died, .*; 3 of 4 students are finished '
                                           'and saved: .*'):
        run_jobs(made, cache, say, 2)
    assert [cache.get(job.key) is None for job in made] == [False, False, False, True]


def test_a_mistake_ends_the_others_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, 'train_student', wrong)
    start = time.monotonic()
    with pytest.raises(DistillError, match='no image'):
        run_jobs([Job('set', 'student', 0, 1, dict(i=i), dict(seed=i)) for i in range(2)],
                 ResultCache(tmp_path / 'cells'), say, 2)
    assert time.monotonic() - start < 10
