"""Class-balanced greedy selection at the size of COCO-Stuff-164k: time and memory, compared with plain greedy.

    python benchmarks/selection.py

The histograms are random and long-tailed: class c is in a share of the masks proportional to 1 / c.
"""
import resource
import time
from functools import partial

import numpy as np

from mmdistill.selection import ClassBalancedGreedy, RarestClassFirst
from mmdistill.selection.base import class_fractions
from mmdistill.selection.greedy import TIE, coverage_gains


def long_tailed(masks: int, classes: int, per_mask: float = 8.0) -> np.ndarray:
    """Class histograms (masks, classes) int64 of 512x512 masks, each with about ``per_mask`` classes."""
    rng = np.random.default_rng(0)
    shown = 1 / np.arange(1, classes + 1)
    shown = np.minimum(shown * per_mask / shown.sum(), 0.9)
    counts = np.zeros((masks, classes), np.int64)
    for rows in np.array_split(np.arange(masks), max(1, masks // 4096)):  # in blocks, to limit the peak memory
        area = rng.lognormal(0, 1, (len(rows), classes)) * (rng.random((len(rows), classes)) < shown)
        area /= np.maximum(area.sum(axis=1, keepdims=True), 1e-9)
        counts[rows] = area * 512 * 512
    counts[:, 0] += 1
    return counts


def plain_greedy(counts: np.ndarray, budget: int, tau: float) -> list:
    """Plain greedy: computes all gains in each round, with the same vectorised expression."""
    fractions = class_fractions(counts, 1, 0.001)
    coverage, free, selected = np.zeros(counts.shape[1]), np.ones(len(counts), bool), []
    for _ in range(budget):
        gains = np.where(free, coverage_gains(fractions, coverage, tau), -1)
        selected.append(int(np.argmax(gains >= gains.max() * (1 - TIE))))
        free[selected[-1]] = False
        coverage += fractions[[selected[-1]]].sum(axis=0)
    return selected


def timed(function):
    """(CPU seconds, wall seconds, result). The times differ if other programs use the same cores."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def peak_mib() -> float:
    """Largest resident memory of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    counts = long_tailed(118287, 171)
    print(f'{counts.shape[0]} masks x {counts.shape[1]} classes ({counts.nbytes / 2**20:.0f} MiB of int64); peak '
          f'memory before the selection {peak_mib():.0f} MiB')
    for selector in (ClassBalancedGreedy(0.01), RarestClassFirst(0.01)):
        cpu, wall, fitted = timed(partial(selector.fit, counts))
        print(f'{type(selector).__name__}: {len(fitted.selected_)} masks in {wall:.2f} s ({cpu:.2f} s of CPU), '
              f'peak {peak_mib():.0f} MiB')
    counts = long_tailed(20210, 150)
    lazy_cpu, _, lazy = timed(lambda: ClassBalancedGreedy(0.01).fit(counts))
    plain_cpu, _, plain = timed(lambda: plain_greedy(counts, 203, lazy.tau_))
    print(f'{counts.shape[0]} masks x {counts.shape[1]} classes, 203 selected: lazy {lazy_cpu:.3f} s of CPU, plain '
          f'{plain_cpu:.3f} s, {plain_cpu / lazy_cpu:.1f} times as long; the same selection: '
          f'{lazy.selected_.tolist() == plain}')


if __name__ == '__main__':
    main()
