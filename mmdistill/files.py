"""Atomic writes, and hashes of values and files."""
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
    """A short hash of JSON-like values that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def files_fingerprint(paths: Iterable, extra: str = '', root: str = '') -> str:
    """Hash of the paths, sizes and modification times (ns) of local files.

    Args:
        paths: The files.
        extra: Further text to hash, such as how the files are read.
        root: A folder that may be moved: paths below it are hashed relative to it.

    Raises:
        DistillError: A file cannot be read.
    """
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
    """Open a regular file for reading; raises an OSError for pipes and devices, which may be endless."""
    stream = open(os.open(path, os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0)), 'rb')
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, 'it is not a regular file', os.fspath(path))
    return stream


def file_digest(path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        for block in iter(lambda: stream.read(1 << 22), b''):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically: readers see either the old or the new file.

    Raises:
        DistillError: The disk is full or the folder cannot be written; no partial file is left.
    """
    _replace(Path(path), lambda temporary: temporary.write_bytes(data))


def remove_temporary(folder) -> None:
    """Remove the temporary files that a killed process left in a folder and the folders in it."""
    for leftover in Path(folder).rglob('.*.tmp'):
        leftover.unlink()


def make_folder(path, problem: str, advice: str) -> None:
    """Create a folder.

    Raises:
        DistillError: The folder cannot be created or is not writable; the message has ``problem`` and ``advice``.
    """
    try:
        os.makedirs(path, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, 'permission denied')
    except OSError as error:
        raise DistillError(f'{problem} ({error.strerror}): {advice}') from None


def link_atomic(source, path) -> None:
    """Make ``path`` a hard link to the file ``source``, or a copy if links are not possible; atomically.

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
    """Write a temporary file with ``make`` and rename it to ``path``. Several processes may do this concurrently."""
    temporary = path.with_name(f'.{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # otherwise, a crash of the machine could leave an empty file
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise DistillError(f'cannot write {path}: {error.strerror or error}; {"free some disk space or " * full}choose '
                           'another folder, and run the command again') from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=1) + '\n').encode())
