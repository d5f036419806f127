"""Class histograms of a dataset's masks, computed by all processes of a run and cached."""
import logging
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, Sequence, Tuple

import numpy as np
from mmengine.dist import barrier, is_main_process

from mmdistill.cache import recall, shared_entry
from mmdistill.files import link_atomic
from mmdistill.selection.histograms import count_masks, exhaust, load_histograms, save_histograms, stack_rows
from mmdistill.tasks.blocks import Block, share_blocks

logger = logging.getLogger('mmdistill')
_BLOCK = 1024  # masks per saved block; an interrupted run loses at most one block


def shared_histograms(load: Callable[[Any], np.ndarray], shape: Tuple[int, int], path: Path, fingerprint: str,
                      workers: Optional[int] = None,
                      progress: Optional[Callable[[Iterable, int], Iterable]] = None) -> np.ndarray:
    """Pixels of each class in each mask, int64 (N, K), from the cache or counted by all processes.

    Every rank has to call this function and counts its share of the masks. Finished blocks are kept when a run is
    interrupted. Work dirs share the result through :mod:`mmdistill.cache`.

    Args:
        load: Function from an index 0..N-1 to a mask uint8 (H, W), ids 0..K-1 and 255; picklable.
        shape: (N, K).
        path: The .npz file of the result.
        fingerprint: Hash of the masks; a file with another hash is ignored.
        workers, progress: See :func:`~mmdistill.selection.histograms.class_histograms`.
    """
    count, classes = shape
    entry = shared_entry('histograms', f'{fingerprint}.npz')
    read = partial(load_histograms, fingerprint=fingerprint, shape=shape)
    if is_main_process():
        recall(path, entry, read, logger.info)
    barrier()
    if (found := read(path)) is not None:
        return found

    def make(blocks: Sequence[Block]) -> None:
        indices = [index for start, end, _ in blocks for index in range(start, end)]
        rows: Iterable[np.ndarray] = count_masks(indices, load, classes, workers)
        rows = iter(progress(rows, len(indices)) if progress and indices else rows)
        for start, end, file in blocks:
            save_histograms(file, stack_rows(islice(rows, end - start), end - start, classes), fingerprint)
        exhaust(rows)

    def merge(files: Iterable[Path]) -> None:
        sizes = (min(_BLOCK, count - start) for start in range(0, count, _BLOCK))
        parts = [load_histograms(file, fingerprint, (size, classes)) for file, size in zip(files, sizes)]
        save_histograms(path, np.concatenate(parts), fingerprint)  # type: ignore[arg-type]
        if entry is not None:
            link_atomic(path, entry)

    share_blocks(path.with_suffix('.parts'), '.npz', count, _BLOCK, lambda file, size: load_histograms(
        file, fingerprint, (size, classes)) is not None, make, merge)
    return read(path)  # type: ignore[return-value]
