"""Training of many students in parallel; every result is cached as soon as it is available."""
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Callable, ContextManager, Dict, List, Optional, Sequence, Tuple

import torch

from mmdistill.datasets.reading import unreadable
from mmdistill.engine.loading import restrict_loading
from mmdistill.errors import DistillError, counted, one_line
from mmdistill.files import write_atomic
from mmdistill.parallel import available_cores, inheriting_context, process_pool
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
    cache: ResultCache  #: Keeps the result.
    metric: str  #: The metric that the progress line shows.

    @property
    def result(self) -> Optional[Dict[str, Any]]:
        """The cached result, or None."""
        return self.cache.get(self.key)


def _start_worker() -> None:
    restrict_loading()
    quiet_mmengine()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')  # OpenMMLab and PyTorch would repeat their warnings for every student


def run_jobs(jobs: Sequence[Job], workers: Optional[int] = None) -> None:
    """Train the students that have no cached result, each on the GPU or on one CPU thread.

    Small networks gain little from a second thread. With one thread, results do not depend on the number of cores.

    Args:
        jobs: The students; their caches receive the results.
        workers: Students trained at a time; default: 1 on a GPU, the number of cores up to 4 on a CPU.

    Raises:
        DistillError: A training failed, or its process died even when it ran alone.
    """
    left = [job for job in jobs if job.result is None]
    if not left:
        return
    total = len(left)
    at_once = min(workers or (1 if torch.cuda.is_available() else min(4, available_cores())), total)
    folders = ', '.join(dict.fromkeys(str(job.cache.root) for job in left))
    print(f'\n{counted(total, "student")} to train, {at_once} at a time; results are saved in {folders}', flush=True)
    taken: Dict[Tuple[str, str], List[float]] = {}  # seconds by kind of student

    def keep(job: Job, result: Dict[str, Any]) -> None:
        job.cache.put(job.key, result)
        left.remove(job)
        taken.setdefault(_kind(job), []).append(result['seconds'])
        known = [second for seconds in taken.values() for second in seconds]
        seconds = sum(fmean(taken.get(_kind(other), known)) for other in left) / at_once
        print(f'[{total - len(left)}/{total}] {job.set}, {job.student}, image set {job.image_set}, seed '
              f'{job.arguments["seed"]}: {job.metric} {result[job.metric]:.1f}, {result["seconds"]:.0f} s'
              + (f'; about {seconds:.0f} s left' if left else ''), flush=True)

    while left:
        before = len(left)
        try:
            _train(left, keep, min(at_once, before))
        except BrokenProcessPool:
            died = 'a process that trains students died, killed or out of memory'
            if at_once == 1 and len(left) == before:
                raise DistillError(f'{died}, even when it ran alone; {total - before} of {counted(total, "student")} '
                                   'finished and saved: free memory, or use a smaller batch or student, and run the '
                                   'command again'
                                   ) from None
            at_once = max(1, at_once // 2)
            print(f'{died}: its students are trained again, {at_once} at a time', flush=True)


def worker_pool(workers: int) -> ContextManager[ProcessPoolExecutor]:
    """Context with a pool of processes for students."""
    return process_pool(workers, inheriting_context(), _start_worker)


def _kind(job: Job) -> Tuple[str, str]:
    """Students of one kind take about as long."""
    return str(job.cache.root), job.student


def _train(jobs: Sequence[Job], keep: Callable[[Job, Dict[str, Any]], None], workers: int) -> None:
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
                raise _failure(futures[future], error) from None
            keep(futures[future], future.result())
        if died is not None:
            raise died


def _failure(job: Job, error: BaseException) -> DistillError:
    """The error of a training in one line; its traceback is written next to the result that is missing."""
    path = job.cache.path(job.key).with_suffix('.log')
    write_atomic(path, ''.join(traceback.format_exception(error)).encode())
    text = one_line(error, 300, named=not isinstance(error, DistillError))
    _, unread, image = one_line(error, None).partition('failed to load image: ')  # mmcv's message
    if unread:
        text = str(unreadable(image, 'image', ValueError(unread)))
    return DistillError(f'training set {job.set}, student {job.student}, seed {job.arguments["seed"]}: the training '
                        f'failed ({text}); finished students are kept; the traceback '
                        f'is in {path}')
