"""Two runs in one folder: the second one names the first; a killed run does not block the folder."""
import multiprocessing
import os
import re
import signal
import socket
import time

import pytest

from mmdistill import lock
from mmdistill.errors import DistillError
from mmdistill.lock import LOCK, locked


def hold(folder, ready):
    with locked(folder, 'mmdistill train x.py'):
        ready.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    yield process
    process.kill()
    process.join()


def test_the_second_run_names_the_first_and_starts_after_its_end(tmp_path, holder):
    with pytest.raises(DistillError) as caught:
        with locked(tmp_path, 'mmdistill distill y.py'):
            pass
    assert re.search(rf'{tmp_path} is in use by mmdistill train x.py \(process {holder.pid} on '
                     rf'{re.escape(socket.gethostname())} since [^)]+\): wait', str(caught.value))
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path, 'mmdistill distill y.py'):
        assert f'"pid": {os.getpid()}' in (tmp_path / LOCK).read_text()
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize('text', ['', '[]', 'nonsense', '{"pid": 1}', '[' * 4000])
def test_an_unreadable_holder(tmp_path, holder, text):
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(DistillError, match='is in use by another process'):
        with locked(tmp_path, 'x'):
            pass


def test_an_error_inside_frees_it(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path, 'x'):
            raise KeyError
    assert not (tmp_path / LOCK).exists()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(38, 'Function not implemented')

    monkeypatch.setattr(lock.fcntl, 'flock', refuse)
    with locked(tmp_path, 'x'), locked(tmp_path, 'y'):
        assert not (tmp_path / LOCK).exists()
