"""Files: atomic writes, hashes of values and of files."""
import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable

from .errors import DistillError


def config_hash(values: Any) -> str:
    """A short hash of JSON-like values, equal for equal values whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def files_fingerprint(paths: Iterable, extra: str = '', root: str = '') -> str:
    """A hash of the path, size and time of change (ns) of local files, which have to exist, and of ``extra``: how they
    are read. Of files below the folder ``root`` the path inside it counts, so that the folder may move."""
    digest, prefix = hashlib.sha256(extra.encode()), root and os.path.join(root, '')
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise DistillError(f'cannot read {path}: {error.strerror}') from None
        inside = os.fspath(path).removeprefix(prefix)
        digest.update(repr((inside, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()


def open_regular(path) -> BinaryIO:
    """A regular file, to read: a pipe or a device may have no end. An OSError for any other."""
    stream = open(os.open(path, os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0)), 'rb')
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, 'it is no regular file', os.fspath(path))
    return stream


def file_digest(path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        for block in iter(lambda: stream.read(1 << 22), b''):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never half of one.

    A DistillError where the disk is full or the folder cannot be written; nothing is left behind.
    """
    _replace(Path(path), lambda temporary: temporary.write_bytes(data))


def make_folder(path, problem: str, advice: str) -> None:
    """Make a folder; a DistillError of ``problem`` and ``advice`` where it cannot be made or written."""
    try:
        os.makedirs(path, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, 'permission denied')
    except OSError as error:
        raise DistillError(f'{problem} ({error.strerror}): {advice}') from None


def link_atomic(source, path) -> None:
    """Make ``path`` a hard link to the file ``source``, or a copy where the disk allows no link; atomically.

    Raises:
        DistillError: See :func:`write_atomic`.
    """
    def link(temporary: Path) -> None:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)

    _replace(Path(path), link)


def _replace(path: Path, make: Callable[[Path], Any]) -> None:
    """Put what ``make`` writes at ``path``. Processes of several machines may do so at once."""
    temporary = path.with_name(f'.{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # or a crash of the machine could leave the name without the bytes
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise DistillError(f'cannot write {path}: {error.strerror or error}; free the disk or choose another '
                           'folder, and start it again') from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=1) + '\n').encode())
