"""Files: atomic writes, hashes of values and of files."""
import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Iterable, Sequence

from .errors import DistillError


def config_hash(values: Any) -> str:
    """A short hash of JSON-like values, equal for equal values whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def files_fingerprint(paths: Iterable, extra: str = '') -> str:
    """A hash of the path, size and time of change (ns) of local files, which have to exist, and of ``extra``: how they
    are read."""
    digest = hashlib.sha256(extra.encode())
    for path in paths:
        try:
            status = os.stat(path)
        except OSError as error:
            raise DistillError(f'cannot read {path}: {error.strerror}') from None
        digest.update(repr((os.fspath(path), status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()


def uris_fingerprint(uris: Sequence[str], *how: Any) -> str:
    """:func:`files_fingerprint` of the local ones, and of how all are read (JSON values); remote ones are assumed
    unchanged as long as their URIs are."""
    remote = [uri for uri in uris if '://' in uri]
    return files_fingerprint([uri for uri in uris if '://' not in uri], config_hash([*how, remote]))


def file_digest(path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(1 << 22), b''):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never half of one.

    A DistillError where the disk is full or the folder cannot be written; nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise DistillError(f'cannot write {path}: {error.strerror or error}; free the disk or choose another '
                           'folder, and resume the run') from None


def write_json(path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=1) + '\n').encode())
