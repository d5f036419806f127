"""Time and memory of the metrics of a set at the size of ImageNette: 10 000 x 1 000 latents of 1 024 dimensions.

    OMP_NUM_THREADS=2 python benchmarks/set_metrics.py [METRIC …]

The latents are float32, of 10 classes with low-dimensional variation and noise. Each metric runs in a separate process
to measure its peak memory; the line 'nothing' shows the imports and the latents alone.
"""
import multiprocessing
import resource
import sys
import time

import numpy as np

from mmdistill.metrics import coverage_density, diversity, frechet_distance, transport_distance
from mmdistill.selection import FeatureKCenterSelector, HerdingSelector


def latents(samples: int, dimensions: int = 1024, seed: int = 0) -> np.ndarray:
    """Latents (samples, dimensions) float32 from a mixture that does not depend on the seed."""
    shape = np.random.default_rng(0)
    centres, axes = shape.normal(size=(10, dimensions)), shape.normal(size=(64, dimensions)) / 4
    rng = np.random.default_rng(seed)
    spread = rng.normal(size=(samples, 64)) @ axes + rng.normal(size=(samples, dimensions)) / 2
    return (centres[rng.integers(10, size=samples)] + spread).astype(np.float32)


METRICS = {
    'nothing': lambda real, distilled: '',
    'transport, exact': lambda real, distilled: transport_distance(real, distilled).distance,
    'transport, entropic': lambda real, distilled: transport_distance(real, distilled, exact_limit=0).distance,
    'coverage and density': coverage_density,
    'diversity of the real set': lambda real, distilled: diversity(real),
    'Frechet': frechet_distance,
    'herding of 1000': lambda real, distilled: len(HerdingSelector(1000).fit(real).selected_),
    'k-center of 1000': lambda real, distilled: FeatureKCenterSelector(1000).fit(real).radius_,
}


def run(name: str) -> None:
    """Print the result of a metric, wall and CPU seconds, and the peak memory."""
    real, distilled = latents(10000, seed=1), latents(1000, seed=2)
    cpu, wall = time.process_time(), time.perf_counter()
    result = METRICS[name](real, distilled)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    print(f'{name}: {result}: {wall:.1f} s ({cpu:.1f} s of CPU), peak {peak:.0f} MiB', flush=True)


def main() -> None:
    for name in sys.argv[1:] or METRICS:
        process = multiprocessing.get_context('spawn').Process(target=run, args=(name, ))
        process.start()
        process.join()


if __name__ == '__main__':
    main()
