"""Locks between processes: one run per folder, one process at a time for a file."""
import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Iterator

from .documents import parse_object
from .errors import DistillError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = '.lock'


@contextlib.contextmanager
def locked(folder: Any, command: str) -> Iterator[None]:
    """Context manager that locks a folder for a command.

    The lock belongs to the operating system and is released when the process ends in any way. If the file system does
    not support locks, nothing is locked.

    Args:
        folder: The folder.
        command: The command, which is written to the lock file for messages of other processes.

    Raises:
        DistillError: Another process has locked the folder; the message says which, and on which machine.
    """
    path = Path(folder, LOCK)
    descriptor = _acquire(path) if fcntl else None
    if descriptor is None:
        yield
        return
    try:
        os.ftruncate(descriptor, 0)
        holder = dict(command=command, pid=os.getpid(), host=socket.gethostname(), since=time.strftime('%F %T'))
        os.write(descriptor, json.dumps(holder).encode())
        yield
    finally:
        _release(path, descriptor)


@contextlib.contextmanager
def one_at_a_time(path: Any) -> Iterator[None]:
    """Context manager for a computation that several processes may start at the same time, to write one file.

    The first process runs the block while the others wait; they then find the file. If the file system does not
    support locks, no process waits.

    Args:
        path: The file that the block writes. The lock is a file next to it, with the suffix ``.lock``.
    """
    path = Path(f'{path}{LOCK}')
    descriptor = _acquire(path, wait=True) if fcntl else None
    try:
        yield
    finally:
        if descriptor is not None:
            _release(path, descriptor)


def _release(path: Path, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
    os.close(descriptor)


def _acquire(path: Path, wait: bool = False) -> Any:
    """The descriptor of the locked file; None if the file system does not support locks.

    If another process has the lock, wait for it or raise a DistillError.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise DistillError(f'cannot write {path}: {error.strerror}; choose another folder') from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # The previous owner may have removed the file between the two calls.
            if path.exists() and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise DistillError(f'{path.parent} is in use by {_holder(path)}: wait until it has ended, end it, or '
                               'choose another folder') from None
        except OSError:  # a file system without locks
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None


def _holder(path: Path) -> str:
    try:
        found = parse_object(path.read_text()[:4096])
        return f'{found["command"]} (process {found["pid"]} on {found["host"]} since {found["since"]})'
    except (OSError, ValueError, KeyError, TypeError):
        return 'another process'
