"""Long computations over the real set, divided among the processes of a run in blocks."""
import shutil
from pathlib import Path
from typing import Any, Callable, Iterable, List, Tuple

from mmengine.dist import barrier, get_rank, get_world_size, is_main_process

Block = Tuple[int, int, Path]  # first sample, end (exclusive), file


def share_blocks(folder: Path, suffix: str, total: int, size: int, done: Callable[[Path, int], bool],
                 make: Callable[[List[Block]], Any], merge: Callable[[Iterable[Path]], Any]) -> None:
    """Compute a file for each block of ``size`` samples, and merge the files.

    Every rank computes its share of the missing blocks. An interrupted run keeps its finished blocks. Neither the
    blocks nor the order of merging depend on the number of ranks.

    Args:
        folder: Folder of the files; removed after the merge.
        suffix: Suffix of the files.
        total: Number of samples.
        size: Samples per block.
        done: ``done(file, count)``: whether the file exists with ``count`` samples.
        make: Computes blocks and writes their files.
        merge: Merges the files, in order, on the main process.
    """
    blocks = [(start, min(start + size, total), folder / f'{start}{suffix}') for start in range(0, total, size)]
    missing = [block for block in blocks if not done(block[2], block[1] - block[0])]
    barrier()  # all ranks check for missing blocks before any rank writes
    make(missing[get_rank()::get_world_size()])
    barrier()
    if is_main_process():
        merge(file for _, _, file in blocks)
        shutil.rmtree(folder, ignore_errors=True)
    barrier()
