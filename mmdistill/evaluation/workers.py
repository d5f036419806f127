"""Training many students, a few at a time, each of which is kept as soon as it is done."""
import multiprocessing
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Sequence

import torch

from mmdistill.engine.loading import distrust
from mmdistill.parallel import available_cores
from .results import Cells
from .students import train_student


@dataclass(frozen=True)
class Job:
    """One student to train."""
    set: str  #: Name of the training set.
    student: str  #: Name of the student.
    image_set: int  #: Which image set of the training set.
    images: int  #: How many images it has.
    key: Dict[str, Any]  #: Everything that decides the outcome: its cell.
    arguments: Dict[str, Any]  #: Of :func:`mmdistill.evaluation.train_student`.


def _start_worker() -> None:
    distrust()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')  # OpenMMLab's and PyTorch's, again for every student


def run_jobs(jobs: Sequence[Job], cells: Cells, say: Callable[[dict], str], workers: Optional[int] = None) -> None:
    """Train the students that are not in ``cells`` yet, each on one thread of the CPU or on the GPU.

    Small networks gain little from a second thread, and with one the result does not depend on the number of cores.

    Args:
        jobs: The students.
        cells: Where the results go.
        say: Makes one line of a student's result.
        workers: Students trained at a time; by default one on a GPU, and on a CPU the number of cores, up to 4.
    """
    jobs = [job for job in jobs if cells.get(job.key) is None]
    if not jobs:
        return
    gpu = torch.cuda.is_available()
    # A process that has asked for the GPU cannot be forked; elsewhere a fork saves the imports.
    context = multiprocessing.get_context('fork' if sys.platform == 'linux' and not gpu else 'spawn')
    workers = min(workers or (1 if gpu else min(4, available_cores())), len(jobs))
    print(f'\n{len(jobs)} students to train, {workers} at a time; each is kept in {cells.root}', flush=True)
    start = time.perf_counter()
    pool = ProcessPoolExecutor(workers, context, _start_worker)
    try:
        futures = {pool.submit(train_student, **job.arguments): job for job in jobs}
        for done, future in enumerate(as_completed(futures), 1):
            job, result = futures[future], future.result()
            cells.put(job.key, result)
            left = (time.perf_counter() - start) / done * (len(jobs) - done)
            print(f'[{done}/{len(jobs)}] {job.set}, {job.student}, image set {job.image_set}, seed '
                  f'{job.arguments["seed"]}: {say(result)}, {result["seconds"]:.0f} s'
                  + (f'; about {left:.0f} s left' if left else ''), flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
