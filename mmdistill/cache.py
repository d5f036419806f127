"""What is computed from real data once: arrays with a checksum, and a folder in which several work dirs share them.

The rule: the environment variable ``MMDISTILL_CACHE`` names the folder. Where it is not set, everything stays in the
work dir, and the latents of the images are not kept. An entry's address is a hash of the data, the weights and the
settings that it was computed from, so that entries never become wrong; any of them may be deleted at any time.
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

from .errors import DistillError
from .files import link_atomic, make_folder, write_atomic

VARIABLE = 'MMDISTILL_CACHE'
_KEY = 'mmdistill'
T = TypeVar('T')


def shared_entry(kind: str, *names: str) -> Optional[Path]:
    """The path of an entry in the shared cache; None where no cache is set.

    Raises:
        DistillError: The folder cannot be made or written.
    """
    if not (setting := os.environ.get(VARIABLE)):
        return None
    root = Path(setting).expanduser().absolute()
    make_folder(root, f'{VARIABLE}={setting}: cannot write there', 'name another folder, or unset it')
    return root.joinpath(kind, *names)


def recall(path: Path, entry: Optional[Path], read: Callable[[Path], Optional[T]],
           note: Callable[[str], object]) -> Optional[T]:
    """What ``read`` makes of a file of the work dir, or else of its ``entry`` in the shared cache.

    An entry that was read is linked into the work dir (copied to another disk), and ``note`` gets a line about it.

    Args:
        path: The file of the work dir.
        entry: See :func:`shared_entry`.
        read: Gives None for a file that is missing, damaged or of something else.
    """
    value = read(path)
    if value is None and entry is not None and (value := read(entry)) is not None:
        link_atomic(entry, path)
        note(f'{path.name} is read from the cache: {entry}')
    return value


def write_arrays(path: Any, arrays: Mapping[str, np.ndarray], header: Any = None) -> None:
    """Write arrays and a ``header`` of JSON values as safetensors, atomically, with a checksum."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # One key, for safetensors writes several in any order, and the same content has to be the same bytes.
    write_atomic(path, save(arrays, {_KEY: json.dumps(dict(header=header, crc32=_checksum(arrays.items())))}))


def read_arrays(path: Any) -> Tuple[Dict[str, np.ndarray], Any]:
    """The arrays and the header of :func:`write_arrays`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or holds something else.
    """
    try:
        with safe_open(path, 'np') as file:
            metadata = json.loads((file.metadata() or {})[_KEY])
            arrays, header = {name: file.get_tensor(name) for name in file.keys()}, metadata['header']
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    if _checksum(arrays.items()) != metadata.get('crc32'):
        raise ValueError('its checksum does not fit')
    return arrays, header


def load_measured(path: Any, read: Callable[[Any], T], what: str, fingerprint: Optional[str]) -> T:
    """What ``read`` makes of a file; a DistillError, which calls it ``what``, unless the file is there, readable and
    of this ``fingerprint`` (None: of any)."""
    try:
        value: Any = read(path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        problem = f'no readable {what} at {path} ({error})'
    else:
        if fingerprint in (None, value.fingerprint):
            return value
        problem = f'{path} holds {what} of other data or another network'
    raise DistillError(f'{problem}: delete the file, and they are measured again')


def is_complete(path: Any) -> bool:
    """Whether a file is there and not cut short; its arrays are not read."""
    try:
        with safe_open(path, 'np') as file:
            return _KEY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


@dataclass(frozen=True)
class Part:
    """Rows that one file keeps: ``batches`` of items, whatever these are, and the ``file``; None keeps nothing."""
    batches: Sequence[Any]
    file: Optional[Path] = None

    @property
    def missing(self) -> bool:
        """Whether it has to be computed."""
        return self.file is None or not is_complete(self.file)


def in_parts(items: Any, batch_size: int, size: int, file: Callable[[int], Optional[Path]]) -> List[Part]:
    """A sequence of items in batches of ``batch_size``, and these in parts of about ``size`` items, each kept in the
    ``file`` of its first item's number."""
    size = batch_size * max(1, size // batch_size)
    return [Part([items[first:first + batch_size] for first in range(start, min(start + size, len(items)), batch_size)],
                 file(start)) for start in range(0, len(items), size)]


def rows_of(parts: Sequence[Part], prepare: Callable[[List[Any]], Iterator[Callable[[], np.ndarray]]]
            ) -> Iterator[Tuple[Part, np.ndarray]]:
    """Parts in order, each with float32 rows (n, ...) of it, piece by piece.

    A part is read from its file, or computed and then written, so that an interrupted run loses its last part alone.
    Several processes may do the same at once: each reads what another one has written meanwhile.

    Args:
        parts: Their rows are float32 (n, ...); files have them in half the bytes where they are bfloat16 numbers.
        prepare: Given batches, yields a function for each, which computes its rows; called for what is not there.
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
    """The rows of :func:`_write_rows`, bit for bit; None where the file is missing or damaged."""
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
