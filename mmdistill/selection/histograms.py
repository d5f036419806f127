"""Class histograms of many masks, computed in parallel and cached."""
import io
import zipfile
import zlib
from functools import partial
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence, Tuple

import numpy as np

from ..files import write_atomic
from ..parallel import parallel_map
from .masks import mask_histogram

Load = Callable[[Any], np.ndarray]


def class_histograms(items: Sequence, load: Load, num_classes: int, *, workers: Optional[int] = None,
                     progress: Optional[Callable[[Iterable, int], Iterable]] = None) -> np.ndarray:
    """Pixels of each class in each mask, int64 (N, K).

    Args:
        items: One picklable descriptor per mask, such as an index or a path.
        load: Function from an item to its mask uint8 (H, W), ids 0..K-1 and 255 for ignored pixels; picklable.
        num_classes: Number of classes K.
        workers: Processes that call ``load``; default: the number of cores. 0 and 1: no separate process.
        progress: Called as ``progress(iterable, total)``; returns an iterable that shows progress.

    Raises:
        DistillError: A mask cannot be read or has an id out of range, or a process died.

    Example:
        >>> masks = [np.array([[0, 0, 1]], np.uint8), np.array([[2, 2, 255]], np.uint8)]
        >>> class_histograms(masks, load=lambda mask: mask, num_classes=3, workers=0)
        array([[2, 1, 0],
               [0, 0, 2]])
    """
    rows: Iterable[np.ndarray] = count_masks(items, load, num_classes, workers)
    rows = iter(rows if progress is None else progress(rows, len(items)))
    counts = stack_rows(rows, len(items), num_classes)
    exhaust(rows)
    return counts


def count_masks(items: Sequence, load: Load, num_classes: int, workers: Optional[int] = None) -> Iterator[np.ndarray]:
    """Yield the pixels of each class, int64 (K,), for one mask after another; see :func:`class_histograms`."""
    return parallel_map(partial(_count, load=load, num_classes=num_classes), items, 'reads masks', workers)


def stack_rows(rows: Iterable[np.ndarray], count: int, num_classes: int) -> np.ndarray:
    """The first ``count`` rows as one array, int64 (count, K)."""
    return np.fromiter(rows, np.dtype((np.int64, num_classes)), count)


def exhaust(rows: Iterable) -> None:
    """Let an iterator end after its last item, so that a progress bar finishes its line and processes end."""
    for _ in rows:
        pass


def save_histograms(path: Any, counts: np.ndarray, fingerprint: str) -> None:
    """Write histograms and the fingerprint of their masks to a .npz file, atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, counts=counts, fingerprint=np.array(fingerprint))
    write_atomic(path, buffer.getvalue())


def load_histograms(path: Any, fingerprint: str, shape: Tuple[int, int]) -> Optional[np.ndarray]:
    """Read a file of :func:`save_histograms`; None if it is missing or unreadable, or has another fingerprint or shape.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            counts, found = data['counts'], str(data['fingerprint'])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return counts if found == fingerprint and counts.shape == shape and counts.dtype == np.int64 else None


def _count(item: Any, load: Load, num_classes: int) -> np.ndarray:
    return mask_histogram(load(item), num_classes, f'mask {item}')
