"""Class histograms of many masks: read in parallel, cached."""
import io
import multiprocessing
import sys
import zipfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence, Tuple

import numpy as np

from ..cores import available_cores
from ..errors import DistillError
from ..files import write_atomic
from .masks import mask_histogram

_CHUNK = 32
Load = Callable[[Any], np.ndarray]
_worker_job: Tuple[Load, int]  # of a worker process


def class_histograms(items: Sequence, load: Load, num_classes: int, *, workers: Optional[int] = None, cache=None,
                     fingerprint: Optional[str] = None,
                     progress: Optional[Callable[[Iterable, int], Iterable]] = None) -> np.ndarray:
    """Pixels of each class in each mask, int64 (N, K).

    Args:
        items: One picklable descriptor (an index, a path, ...) a mask.
        load: Mask uint8 (H, W) of an item, ids 0..K-1 and 255 for ignored pixels; picklable.
        num_classes: Number of classes K.
        workers: Processes that call ``load``; by default the number of cores, 0 and 1 call it in this process.
        cache: Path of a .npz file. What it holds is returned if it was written for the same ``fingerprint``, number of
            items and classes; else, or if it cannot be read, it is written.
        fingerprint: Changes when the masks do (:func:`files_fingerprint`); needed with ``cache``.
        progress: Called as ``progress(iterable, total)`` and iterated instead: a progress bar over the items. It is
            not called when the cache is used.

    Raises:
        DistillError: A mask cannot be read or holds an id out of range, or a process died.
    """
    shape = (len(items), num_classes)
    if cache is not None:
        if fingerprint is None:
            raise ValueError('a cache needs a fingerprint of the masks')
        if (cached := _read_cache(cache, fingerprint, shape)) is not None:
            return cached
    workers = min(available_cores() if workers is None else workers, -(-len(items) // _CHUNK))
    rows: Iterable[np.ndarray] = _parallel(items, load, num_classes, workers) if workers > 1 else (
        mask_histogram(load(item), num_classes, f'mask {item}') for item in items)
    if progress is not None:
        rows = progress(rows, len(items))
    counts = np.fromiter(rows, np.dtype((np.int64, num_classes)), len(items))
    if cache is not None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, counts=counts, fingerprint=np.array(fingerprint))
        write_atomic(cache, buffer.getvalue())
    return counts


def _read_cache(path, fingerprint: str, shape) -> Optional[np.ndarray]:
    """The cached histograms, or None if they are missing, of other masks, or unreadable."""
    try:
        with np.load(path, allow_pickle=False) as data:
            counts, found = data['counts'], str(data['fingerprint'])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return counts if found == fingerprint and counts.shape == shape and counts.dtype == np.int64 else None


def _parallel(items: Sequence, load: Load, num_classes: int, workers: int) -> Iterator[np.ndarray]:
    # As in torch's DataLoader: fork where it is safe, so that nothing is imported anew; spawn elsewhere.
    context = multiprocessing.get_context('fork' if sys.platform == 'linux' else 'spawn')
    pool = ProcessPoolExecutor(workers, context, _start_worker, (load, num_classes))
    try:
        yield from pool.map(_count, items, chunksize=_CHUNK)
    except BrokenProcessPool:
        raise DistillError(f'a process that reads masks died, out of memory perhaps: use fewer than {workers} '
                           'workers') from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(load: Load, num_classes: int) -> None:
    global _worker_job
    _worker_job = load, num_classes


def _count(item) -> np.ndarray:
    load, num_classes = _worker_job
    return mask_histogram(load(item), num_classes, f'mask {item}')
