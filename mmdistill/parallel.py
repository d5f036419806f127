"""Multiprocessing: parallel maps, process pools, and the number of available cores."""
import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any, Callable, Iterator, Optional, Sequence, Tuple

from .errors import DistillError

_function: Callable[[Any], Any]  # called by a worker process for each item
_bound = False


def available_cores() -> int:
    """Number of cores for this process, at least 1: its share if torchrun starts several on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(cores // int(os.environ.get('LOCAL_WORLD_SIZE') or 1), 1)


def parallel_map(function: Callable[[Any], Any], items: Sequence, what: str, workers: Optional[int] = None,
                 chunk: int = 32) -> Iterator:
    """``map(function, items)`` in several processes, in order.

    Args:
        function: A picklable function; it is sent once to each process.
        items: Picklable items.
        what: Description of a process for messages, such as ``'reads masks'``.
        workers: Number of processes; default: the number of cores. With 0 or 1, at most ``chunk`` items, or in a
            daemonic process, everything runs in the calling process.
        chunk: Items sent to a process at a time.

    Raises:
        DistillError: A process died.
    """
    workers = min(available_cores() if workers is None else workers, -(-len(items) // chunk))
    if workers <= 1 or multiprocessing.current_process().daemon:  # daemonic processes cannot start others
        yield from map(function, items)
        return
    # As in PyTorch's DataLoader: fork on Linux, which shares memory and imports; spawn elsewhere.
    context = multiprocessing.get_context('fork' if sys.platform == 'linux' else 'spawn')
    try:
        with process_pool(workers, context, _start_worker, (function, )) as pool:
            yield from pool.map(_call, items, chunksize=chunk)
    except BrokenProcessPool:
        raise DistillError(f'a process that {what} died, perhaps out of memory: use fewer than {workers} workers'
                           ) from None


@contextlib.contextmanager
def process_pool(workers: int, context: BaseContext, initializer: Callable[..., Any], arguments: Tuple = ()
                 ) -> Iterator[ProcessPoolExecutor]:
    """Context with a pool of processes, which end with the block, or immediately if the block raises an exception.

    A generator that is closed inside the block is no error: its caller needs no further results.
    """
    bind_children()
    release_memory()  # which forked processes would inherit
    gc.freeze()  # their garbage collection would copy the pages of all objects that they share
    pool = ProcessPoolExecutor(workers, context, _begin, (os.getpid(), initializer, arguments))
    try:
        yield pool
    except GeneratorExit:
        raise
    except BaseException:
        hook, threading.excepthook = threading.excepthook, lambda arguments: None  # hides the pool's own traceback
        for process in [*pool._processes.values()]:  # not other children, such as those of a DataLoader
            process.kill()
        pool.shutdown()
        threading.excepthook = hook
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        gc.unfreeze()


def inheriting_context() -> BaseContext:
    """Context whose processes inherit the memory and the imports of this one, where this is possible.

    A process that has initialized CUDA cannot be forked, and merely asking whether there is a GPU may do so.
    """
    import torch
    return multiprocessing.get_context(
        'fork' if sys.platform == 'linux' and not torch.cuda.is_available() else 'spawn')


def run_apart(function: Callable[..., Any], *arguments: Any) -> int:
    """Call a function in a separate process and return its exit status.

    The calling process must not have computed anything with several threads: OpenMP cannot be used after a fork.
    """
    process = inheriting_context().Process(target=_begin, args=(os.getpid(), function, arguments))  # type: ignore
    process.start()
    process.join()
    return process.exitcode or 0


def release_memory() -> None:
    """Give freed memory back to the system. glibc may keep it, and does so with the settings of the Makefile."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other C libraries
        ctypes.CDLL(None).malloc_trim(0)


def end_children() -> None:
    """Kill the processes that this one started with ``multiprocessing``."""
    for child in multiprocessing.active_children():
        child.kill()


def bind_children() -> None:
    """Bind processes that are forked from now on, including DataLoader workers, to this process: they ignore Ctrl-C
    and exit when it exits."""
    global _bound
    if not _bound and hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=lambda: _bind(os.getppid()))
        _bound = True


def _begin(parent: int, function: Callable[..., Any], arguments: Tuple) -> None:
    """Call a function in a new process, forked or not."""
    bind_children()
    _bind(parent)
    function(*arguments)


def _bind(parent: int) -> None:
    signal.set_wakeup_fd(-1)  # a forked process inherits the descriptor of its parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes
    for name in ('SIGTERM', 'SIGHUP'):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    threading.Thread(target=_exit_with, args=(parent, ), daemon=True).start()


def _exit_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _start_worker(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function


def _call(item: Any) -> Any:
    return _function(item)
