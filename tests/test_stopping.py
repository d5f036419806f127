"""A command that is stopped, or whose processes die, prints one line and leaves no process."""
import json
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from mmdistill import stopping
from tests.conftest import listen, running

SCRIPT = """
import os, sys, time
from mmdistill import cli, parallel, stopping
from mmdistill.errors import DistillError

def ready():
    stopping.current.kept = lambda: 'two of three are kept; go on'
    print('ready', flush=True)

def busy(_=None):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass

def sleeping():
    ready()
    time.sleep(60)

def swallowing():
    ready()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

def converting():
    ready()
    try:
        time.sleep(60)
    except BaseException:
        raise RuntimeError('an interrupt in a library')

def pool():
    ready()
    list(parallel.parallel_map(busy, range(4), 'works', 2, chunk=1))

def apart():
    ready()
    parallel.run_apart(busy)

def loader():
    from torch.utils.data import DataLoader
    ready()
    for _ in DataLoader(range(4), num_workers=2, collate_fn=busy, multiprocessing_context='fork'):
        pass

def in_a_run(then):
    def command():
        from datetime import timedelta
        import torch
        rank, folder = int(os.environ['RANK']), sys.argv[2]
        stopping.current.join(rank, 2)
        torch.distributed.init_process_group('gloo', timeout=timedelta(hours=1))
        stopping.current.watch(folder)
        torch.distributed.barrier()
        ready()
        then(rank)
        torch.distributed.barrier()
    return command

def fail(rank):
    if rank == 1:
        time.sleep(0.3)
        raise DistillError('the mask of image 7 is damaged')

def crash(rank):
    if rank == 1:
        raise ZeroDivisionError('a defect')

def fail_while_the_other_is_busy(rank):
    fail(rank)
    busy()

def wait(rank):
    if rank == 1:
        time.sleep(60)

def orphan():
    stopping.current.join(0, 2)
    ready()
    busy()

waiting, failing, crashing, busy_peer = map(in_a_run, (wait, fail, crash, fail_while_the_other_is_busy))

def full():
    raise OSError(28, 'No space left on device', 'iter_20.pth')

def memory():
    raise MemoryError('Unable to allocate 3 GiB')

def killed_loader():
    from torch.utils.data import DataLoader
    for _ in DataLoader(range(4), num_workers=1, collate_fn=lambda _: os.kill(os.getpid(), 9),
                        multiprocessing_context='fork'):
        pass

def killed_pool():
    list(parallel.parallel_map(lambda_free_kill, range(4), 'reads masks', 2, chunk=1))

def lambda_free_kill(_):
    os.kill(os.getpid(), 9)

def closed_pipe():
    for _ in range(100000):
        print('a line')

if __name__ == '__main__':
    cli.run(globals()[sys.argv[1]])
"""


@pytest.fixture
def start(tmp_path, root):
    """``start(function)``: a process that runs the function, returned when it is ready."""
    (tmp_path / 'script.py').write_text(SCRIPT)
    begun = []

    def run(name, wait=True, **env):
        env = {**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1', **env}
        process = subprocess.Popen([sys.executable, str(tmp_path / 'script.py'), name, str(tmp_path)], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, preexec_fn=listen)
        begun.append(process)
        if wait:
            assert process.stdout.readline() == 'ready\n', process.communicate()
        return process

    yield run
    for process in begun:
        process.kill()


@pytest.fixture
def two(start):
    """``two(function, other)``: two processes of a run; ``other`` is another number for another run."""
    def run(name, other=0):
        env = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(24000 + other + os.getpid() % 4000))
        processes = [start(name, wait=False, RANK=rank, **env) for rank in '01']
        assert [process.stdout.readline() for process in processes] == ['ready\n'] * 2
        return processes

    return run


def ended(process, within):
    begin = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - begin < within
    return SimpleNamespace(status=process.returncode, out=out, err=err)


def children(pid, count):
    """Process ids of the children, once there are ``count``."""
    path = f'/proc/{pid}/task/{pid}/children'
    if not os.path.exists(path):
        pytest.skip('the system does not list the children of a process')
    for _ in range(400):
        with open(path) as file:
            found = file.read().split()
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f'{len(found)} children')


@pytest.mark.parametrize('name, words', [('SIGINT', 'Ctrl-C'), ('SIGTERM', 'SIGTERM'), ('SIGHUP', 'SIGHUP')])
def test_a_signal_ends_it_with_one_line_and_the_status_of_shells(start, name, words):
    process, number = start('sleeping'), getattr(signal, name)
    process.send_signal(number)
    done = ended(process, within=2)
    assert (done.status, done.err) == (128 + number, f'stopped by {words}: two of three are kept; go on\n')


@pytest.mark.parametrize('name, within', [('converting', 2), ('swallowing', stopping.GRACE + 2)])
def test_a_library_that_catches_the_interrupt_does_not_block_the_end(start, name, within):
    process = start(name)
    process.terminate()
    done = ended(process, within)
    assert (done.status, done.err) == (143, 'stopped by SIGTERM: two of three are kept; go on\n')


def test_a_second_signal_ends_it_at_once(start):
    process = start('swallowing')
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    assert ended(process, within=2).err == 'stopped by Ctrl-C: two of three are kept; go on\n'


def test_nohup_is_respected(start, tmp_path, root):
    process = subprocess.Popen(['nohup', sys.executable, str(tmp_path / 'script.py'), 'sleeping', str(tmp_path)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, 'PYTHONPATH': str(root)}, preexec_fn=listen)
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    assert ended(process, within=2).status == 143


@pytest.mark.parametrize('name, workers', [('pool', 2), ('loader', 2), ('apart', 1)])
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_that_started_them(start, name, workers, number):
    process = start(name)
    pids = children(process.pid, workers)
    time.sleep(1.5 * (name == 'apart'))  # until it has begun
    process.send_signal(number)
    done = ended(process, within=stopping.GRACE + 3)  # a DataLoader that has just begun waits for its workers
    assert done.err == 'stopped by SIGTERM: two of three are kept; go on\n' * (number == signal.SIGTERM)
    time.sleep(1)
    assert not any(map(running, pids))


@pytest.mark.parametrize('name, say', [
    ('full', 'error: cannot write iter_20.pth: No space left on device; free the disk. existing files .*'),
    ('memory', r'error: out of memory \(Unable to allocate 3 GiB\): .*'),
    ('killed_loader', 'error: a process that reads data was killed or ran out of memory .*fewer workers'),
    ('killed_pool', 'error: a process that reads masks died, perhaps out of memory: use fewer than 2 workers')])
def test_a_fault_of_the_machine_is_one_line(start, name, say):
    done = ended(start(name, wait=False), within=20)
    assert done.status == 1 and re.fullmatch(f'{say}\n', done.err), done.err


def test_a_reader_of_its_output_that_left_is_no_error(start):
    process = start('closed_pipe', wait=False)
    process.stdout.readline()
    process.stdout.close()
    process.wait(20)
    assert process.stderr.read() == ''


@pytest.mark.parametrize('name', ['failing', 'busy_peer'])
def test_an_error_of_one_process_ends_all_and_is_said_last(two, tmp_path, name):
    processes = two(name)
    first, second = (ended(process, within=10) for process in processes)
    assert (second.status, second.err) == (1, 'error: the mask of image 7 is damaged\n')
    assert first.status == 1 and first.err == 'error: rank 1: the mask of image 7 is damaged\n'
    again = two('waiting')  # not ended by what the run before has left
    time.sleep(1.5)
    assert [process.poll() for process in again] == [None, None] and not list(tmp_path.glob('.failed*'))


def test_the_error_of_another_run_in_the_same_folder_ends_only_that_run(two, tmp_path):
    running = two('waiting')
    assert [ended(process, within=10).status for process in two('failing', other=1)] == [1, 1]
    time.sleep(1.5)
    assert [process.poll() for process in running] == [None, None]
    stopping.current.discard_notes(tmp_path)
    assert not list(tmp_path.glob('.failed*'))


def test_torchrun_shows_the_error(two, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', str(tmp_path / 'error.json'))
    [ended(process, within=10) for process in two('failing')]
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
    failure = ProcessFailure(1, 1, 1, str(tmp_path / 'error.json'))
    assert failure.message['extraInfo']['py_callstack'] == 'error: the mask of image 7 is damaged'


def test_a_defect_in_one_process_keeps_its_traceback(two):
    first, second = (ended(process, within=10) for process in two('crashing'))
    assert second.err.startswith('Traceback') and second.err.endswith('error: ZeroDivisionError: a defect\n')
    assert first.err == 'error: rank 1: ZeroDivisionError: a defect\n'


def test_a_process_that_was_killed_ends_the_others(two):
    first, second = two('waiting')
    second.kill()
    done = ended(first, within=10)
    assert done.status == 1 and re.fullmatch('error: another process of this run ended without an error message, .*two '
                                             'of three are kept; go on\n', done.err)


def test_a_distributed_run_that_is_stopped_prints_one_line(two):
    """Rank 0 waits in a barrier, where no Python code runs."""
    first, second = two('waiting')
    for process in (second, first):
        process.terminate()
    done = [ended(process, within=stopping.GRACE + 3) for process in (first, second)]
    assert [one.status for one in done] == [143, 143]
    assert [one.err for one in done] == ['stopped by SIGTERM: two of three are kept; go on\n', '']


def test_a_process_of_a_run_ends_with_its_launcher(tmp_path, root, start):
    launcher = 'import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()'
    process = subprocess.Popen(
        [sys.executable, '-c', launcher, sys.executable, str(tmp_path / 'script.py'), 'orphan', str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': str(root)})
    assert process.stdout.readline() == 'ready\n'
    process.kill()
    assert ended(process, within=4).err == 'stopped because its launcher ended: two of three are kept; go on\n'


def test_the_note_of_another_process_is_not_trusted(tmp_path):
    process = stopping.Stopping()
    process.join(0, 2)
    process.watch(tmp_path)
    assert process._peer() is None
    for note, say in ((b'\xff', 'another process of this run failed'), (b'[]', 'another process of this run failed'),
                      (json.dumps(dict(rank=1, message='error: a\n\x1bb')).encode(), 'rank 1: a b')):
        process._note.write_bytes(note)
        assert process._peer() == f'error: {say}'
