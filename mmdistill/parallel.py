"""Several processes: a function of many items, and the cores that this process may use."""
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, Iterator, Optional, Sequence

from .errors import DistillError

_function: Callable[[Any], Any]  # of a worker process


def available_cores() -> int:
    """Number of cores that the process may run on; where the system does not say, all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def parallel_map(function: Callable[[Any], Any], items: Sequence, what: str, workers: Optional[int] = None,
                 chunk: int = 32) -> Iterator:
    """``map(function, items)`` in several processes, in order.

    Args:
        function: Picklable; each process gets it once.
        items: Picklable.
        what: What a process does, for the message: ``'reads masks'``.
        workers: Processes; by default the number of cores. With 0 and 1, no more than ``chunk`` items, or in a daemonic
            process, everything runs in this process.
        chunk: Items that a process gets at a time.

    Raises:
        DistillError: A process died.
    """
    workers = min(available_cores() if workers is None else workers, -(-len(items) // chunk))
    if workers <= 1 or multiprocessing.current_process().daemon:  # which may start no processes
        yield from map(function, items)
        return
    # As in torch's DataLoader: fork where it is safe, which shares memory and imports; spawn elsewhere.
    context = multiprocessing.get_context('fork' if sys.platform == 'linux' else 'spawn')
    pool = ProcessPoolExecutor(workers, context, _start_worker, (function, ))
    try:
        yield from pool.map(_call, items, chunksize=chunk)
    except BrokenProcessPool:
        raise DistillError(f'a process that {what} died, out of memory perhaps: use fewer than {workers} workers'
                           ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function


def _call(item: Any) -> Any:
    return _function(item)
