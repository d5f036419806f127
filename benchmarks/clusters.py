"""Clusters of a class of 10 000 and of 100 000 latents of 1 024 dimensions: memory that they add, and seconds.

    OMP_NUM_THREADS=1 python benchmarks/clusters.py [LATENTS …]

The latents are made batch by batch, so that only what the clusters keep can grow. Each size runs in a process of its
own; memory is the peak of what Python and numpy allocate (tracemalloc) and of the process (resident).
"""
import multiprocessing
import resource
import sys
import time
import tracemalloc

import numpy as np

from mmdistill.selection import LatentClusters

SHAPE, IPC, BATCH = (4, 16, 16), 10, 64


def stream(count: int):
    """Latents float32 (64, 4, 16, 16) of eight modes."""
    modes = np.random.default_rng(0).normal(size=(8, *SHAPE)).astype(np.float32)
    for start in range(0, count, BATCH):
        rng = np.random.default_rng((1, start))
        size = min(BATCH, count - start)
        yield modes[rng.integers(8, size=size)] + rng.standard_normal((size, *SHAPE), np.float32)


def run(count: int) -> None:
    """Print what one size takes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    for traced in (False, True):  # tracing slows it down: time and resident memory first
        if traced:
            tracemalloc.start()
        cpu, model = time.process_time(), LatentClusters(IPC)
        for latents in stream(count):
            model.partial_fit(latents)
        model.finish()
        if not traced:
            resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
            fitted = time.process_time() - cpu
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    assert model.counts_.sum() == count
    print(f'{count} latents ({count * 4096 / 2**20:.0f} MiB): peak {peak:.1f} MiB allocated, {resident:.0f} MiB '
          f'resident above the start; {fitted:.1f} s of CPU (with the stream)', flush=True)


def main() -> None:
    for count in [int(value) for value in sys.argv[1:]] or [10000, 100000]:
        process = multiprocessing.get_context('spawn').Process(target=run, args=(count, ))
        process.start()
        process.join()


if __name__ == '__main__':
    main()
