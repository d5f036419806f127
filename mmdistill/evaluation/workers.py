"""Training of many students in parallel; every result is cached as soon as it is available."""
import multiprocessing
import sys
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Callable, ContextManager, Dict, Optional, Sequence

import torch

from mmdistill.engine.loading import restrict_loading
from mmdistill.errors import DistillError, one_line
from mmdistill.files import write_atomic
from mmdistill.parallel import available_cores, process_pool
from mmdistill.terminal import quiet_mmengine
from .results import ResultCache
from .students import train_student


@dataclass(frozen=True)
class Job:
    """One student to train."""
    set: str  #: Name of the training set.
    student: str  #: Name of the student.
    image_set: int  #: Index of the image set, from 0.
    images: int  #: Number of images in it.
    key: Dict[str, Any]  #: Everything that affects the result; its key in the cache.
    arguments: Dict[str, Any]  #: Arguments of :func:`mmdistill.evaluation.train_student`.


def _start_worker() -> None:
    restrict_loading()
    quiet_mmengine()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')  # OpenMMLab and PyTorch would repeat their warnings for every student


def run_jobs(jobs: Sequence[Job], cache: ResultCache, summary: Callable[[dict], str], workers: Optional[int] = None
             ) -> None:
    """Train the students that have no cached result, each on the GPU or on one CPU thread.

    Small networks gain little from a second thread. With one thread, results do not depend on the number of cores.

    Args:
        jobs: The students.
        cache: Receives the results.
        summary: Formats a student's result for the progress line.
        workers: Students trained at a time; default: 1 on a GPU, the number of cores up to 4 on a CPU.

    Raises:
        DistillError: A training failed, or its process died even when it ran alone.
    """
    left = [job for job in jobs if cache.get(job.key) is None]
    if not left:
        return
    total = len(left)
    workers = min(workers or (1 if torch.cuda.is_available() else min(4, available_cores())), total)
    print(f'\n{total} students to train, {workers} at a time; results are saved in {cache.root}', flush=True)
    start = time.perf_counter()

    def keep(job: Job, result: Dict[str, Any]) -> None:
        cache.put(job.key, result)
        left.remove(job)
        done = total - len(left)
        seconds = (time.perf_counter() - start) / done * len(left)
        print(f'[{done}/{total}] {job.set}, {job.student}, image set {job.image_set}, seed '
              f'{job.arguments["seed"]}: {summary(result)}, {result["seconds"]:.0f} s'
              + (f'; about {seconds:.0f} s left' if left else ''), flush=True)

    while left:
        before = len(left)
        try:
            _train(left, keep, cache, min(workers, before))
        except BrokenProcessPool:
            died = 'a process that trains students died, killed or out of memory'
            if workers == 1 and len(left) == before:
                raise DistillError(f'{died}, even when it ran alone; {total - before} of {total} students are '
                                   'finished and saved: free memory, or use a smaller batch or student, and run the '
                                   'command again'
                                   ) from None
            workers = max(1, workers // 2)
            print(f'{died}: its students are trained again, {workers} at a time', flush=True)


def worker_pool(workers: int) -> ContextManager[ProcessPoolExecutor]:
    """Context with a pool of processes for students.

    A process that has initialized CUDA cannot be forked; otherwise, forking avoids repeated imports.
    """
    forks = sys.platform == 'linux' and not torch.cuda.is_available()
    return process_pool(workers, multiprocessing.get_context('fork' if forks else 'spawn'), _start_worker)


def _train(jobs: Sequence[Job], keep: Callable[[Job, Dict[str, Any]], None], cache: ResultCache, workers: int
           ) -> None:
    """Train students in ``workers`` processes and pass each result to ``keep``."""
    with worker_pool(workers) as pool:
        futures = {pool.submit(train_student, **job.arguments): job for job in jobs}
        died = None
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                died = error
                continue  # others may have finished before the crash
            if error is not None:
                raise _failure(futures[future], error, cache) from None
            keep(futures[future], future.result())
        if died is not None:
            raise died


def _failure(job: Job, error: BaseException, cache: ResultCache) -> DistillError:
    """The error of a training in one line; its traceback is written next to the result that is missing."""
    path = cache.path(job.key).with_suffix('.log')
    write_atomic(path, ''.join(traceback.format_exception(error)).encode())
    text = one_line(error, 300, named=not isinstance(error, DistillError))
    return DistillError(f'training set {job.set}, student {job.student}, seed {job.arguments["seed"]}: the training '
                        f'failed ({text}); finished students are kept; the traceback '
                        f'is in {path}')
