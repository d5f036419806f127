"""Cached results from real data: arrays with a checksum, and a folder that several work dirs share.

The environment variable ``MMDISTILL_CACHE`` sets the folder. Without it, results are saved in the work dir, except the
latents of the images. The path of an entry is a hash of the data, the weights and the settings from which it was
computed, so entries never become outdated; any of them may be deleted at any time.
"""
import json
import os
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from .documents import parse_object
from .errors import DistillError, one_line
from .files import link_atomic, make_folder, write_atomic

VARIABLE = 'MMDISTILL_CACHE'
_KEY = 'mmdistill'
T = TypeVar('T')


def shared_entry(kind: str, *names: str) -> Optional[Path]:
    """The path of an entry in the shared cache; None if there is no shared cache.

    Args:
        kind: Folder for the type of the entry, such as ``'latents'``.
        names: Further parts of the path.

    Raises:
        DistillError: The folder cannot be created, or is not writable.
    """
    if not (setting := os.environ.get(VARIABLE)):
        return None
    root = Path(setting).expanduser().absolute()
    make_folder(root, f'{VARIABLE}={setting}: cannot write there', 'name another folder, or unset it')
    return root.joinpath(kind, *names)


def recall(path: Path, entry: Optional[Path], read: Callable[[Path], Optional[T]],
           note: Callable[[str], object]) -> Optional[T]:
    """Read a result from the work dir or the shared cache.

    An entry of the shared cache is linked (or copied, to another disk) into the work dir.

    Args:
        path: The file in the work dir.
        entry: See :func:`shared_entry`.
        read: Function that reads a file; returns None if it is missing, damaged or has another content.
        note: Called with a message if the shared cache was used.

    Returns:
        The result, or None if it is in neither.
    """
    value = read(path)
    if value is None and entry is not None and (value := read(entry)) is not None:
        link_atomic(entry, path)
        note(f'{path.name} is read from the cache: {entry}')
    return value


def write_arrays(path: Any, arrays: Mapping[str, np.ndarray], header: Any = None) -> None:
    """Write arrays and a ``header`` of JSON values as safetensors, atomically, with a checksum."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # A single key, since safetensors writes several keys in random order, and files must be reproducible.
    write_atomic(path, save(arrays, {_KEY: json.dumps(dict(header=header, crc32=_checksum(arrays.items())))}))


def read_arrays(path: Any) -> Tuple[Dict[str, np.ndarray], Any]:
    """Read the arrays and the header written by :func:`write_arrays`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or has another content.
    """
    try:
        with safe_open(path, 'np') as file:
            metadata = parse_object((file.metadata() or {})[_KEY])
            arrays, header = {name: file.get_tensor(name) for name in file.keys()}, metadata['header']
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(one_line(error)) from None
    if _checksum(arrays.items()) != metadata.get('crc32'):
        raise ValueError('its checksum differs')
    return arrays, header


def load_measured(path: Any, read: Callable[[Any], T], what: str, fingerprint: Optional[str]) -> T:
    """Read a file of measurements.

    Args:
        path: The file.
        read: Function that reads it and returns an object with a ``fingerprint``.
        what: Name of the measurements in messages.
        fingerprint: Required fingerprint; None accepts any.

    Raises:
        DistillError: The file is missing or unreadable, or has another fingerprint.
    """
    try:
        value: Any = read(path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        problem = f'no readable {what} at {path} ({error})'
    else:
        if fingerprint in (None, value.fingerprint):
            return value
        problem = f'{path} contains {what} of other data or another network'
    raise DistillError(f'{problem}: delete the file, and they are measured again')


def is_complete(path: Any) -> bool:
    """Whether a file exists and is not truncated; its arrays are not read."""
    try:
        with safe_open(path, 'np') as file:
            return _KEY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


@dataclass(frozen=True)
class Part:
    """Rows that are cached in one file."""
    batches: Sequence[Any]  #: Batches of items from which the rows are computed.
    file: Optional[Path] = None  #: None: the rows are not cached.

    @property
    def missing(self) -> bool:
        """Whether the rows have to be computed."""
        return self.file is None or not is_complete(self.file)


def in_parts(items: Any, batch_size: int, size: int, file: Callable[[int], Optional[Path]]) -> List[Part]:
    """Divide items into batches, and the batches into parts.

    Args:
        items: A sequence of items.
        batch_size: Items per batch.
        size: Approximate number of items per part.
        file: Function from the index of the first item of a part to its cache file, or None.
    """
    size = batch_size * max(1, size // batch_size)
    return [Part([items[first:first + batch_size] for first in range(start, min(start + size, len(items)), batch_size)],
                 file(start)) for start in range(0, len(items), size)]


def rows_of(parts: Sequence[Part], prepare: Callable[[List[Any]], Iterator[Callable[[], np.ndarray]]]
            ) -> Iterator[Tuple[Part, np.ndarray]]:
    """Yield (part, float32 rows (n, ...)) in order; a part may be yielded in several pieces.

    A part is read from its file, or computed and then written, so an interrupted run only loses its last part. Several
    processes may run this at the same time; each reads files that another one has written in the meantime.

    Args:
        parts: The parts. Rows whose values are exact in bfloat16 are saved in half the size.
        prepare: Function from batches to an iterator with one function per batch, which computes its rows. It is called
            for missing parts.
    """
    missing = [part for part in parts if part.missing]
    fresh, absent = prepare([batch for part in missing for batch in part.batches]), {id(part) for part in missing}
    for part in parts:
        pieces = islice(fresh, len(part.batches)) if id(part) in absent else None
        if (rows := _read_rows(part.file)) is not None:
            yield part, rows
            for _ in pieces or ():  # another process was faster
                pass
            continue
        made = []
        for piece in prepare(list(part.batches)) if pieces is None else pieces:
            rows = piece()
            yield part, rows
            made += [rows] if part.file else []
        if part.file:
            _write_rows(part.file, np.concatenate(made))


def _write_rows(file: Path, rows: np.ndarray) -> None:
    bits = np.ascontiguousarray(rows, np.float32).view(np.uint32)
    half = not (bits & 0xffff).any()
    write_arrays(file, dict(bfloat16=(bits >> 16).astype(np.uint16)) if half else dict(float32=bits.view(np.float32)))


def _read_rows(file: Optional[Path]) -> Optional[np.ndarray]:
    """Read the rows of :func:`_write_rows`, bit for bit; None if the file is missing or damaged."""
    if file is None:
        return None
    try:
        (name, values), = read_arrays(file)[0].items()
    except (OSError, ValueError):
        return None
    return (values.astype(np.uint32) << 16).view(np.float32) if name == 'bfloat16' else values


def _checksum(arrays: Iterable[Tuple[str, np.ndarray]]) -> str:
    value = 0
    for name, array in sorted(arrays):
        value = zlib.crc32(f'{name}{array.dtype}{array.shape}'.encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, value)
    return f'{value:08x}'
