"""Long passes over the real set, which the processes of a run share block by block."""
import shutil
from pathlib import Path
from typing import Any, Callable, Iterable, List, Tuple

from mmengine.dist import barrier, get_rank, get_world_size, is_main_process

Block = Tuple[int, int, Path]  # first sample, the one after the last, file


def share_blocks(folder: Path, suffix: str, total: int, size: int, done: Callable[[Path, int], bool],
                 make: Callable[[List[Block]], Any], merge: Callable[[Iterable[Path]], Any]) -> None:
    """Make what is kept of each block of ``size`` samples, and merge it.

    Every rank makes its share of the blocks that are missing, each into a file of its own, so that an interrupted run
    keeps what it finished and no rank waits long. Neither the blocks nor the order in which they are merged depend on
    the number of ranks.

    Args:
        folder: Of the files; removed when they are merged.
        suffix: Of the files' names.
        total: Number of samples.
        done: ``done(file, count)``: whether the file is there and holds ``count`` samples.
        make: Makes blocks.
        merge: Merges the files, in order, on the main process.
    """
    blocks = [(start, min(start + size, total), folder / f'{start}{suffix}') for start in range(0, total, size)]
    missing = [block for block in blocks if not done(block[2], block[1] - block[0])]
    barrier()  # all ranks look before any rank writes
    make(missing[get_rank()::get_world_size()])
    barrier()
    if is_main_process():
        merge(file for _, _, file in blocks)
        shutil.rmtree(folder, ignore_errors=True)
    barrier()
