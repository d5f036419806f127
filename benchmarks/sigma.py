"""Bounds on the difference between ``step='sigma'`` and the learned standard deviation of any DiT.

    python benchmarks/sigma.py [--steps 50] [--window 0.08 0.4]

For outputs in [-1, 1], a learned variance is between the posterior variance and beta (arXiv 2102.09672, equation 15).
Prints the largest relative distance of ``step='sigma'`` to both bounds, in float64 with the noise levels of DiT's
training: over the guided steps, and over all but the last step, whose posterior has no variance.
"""
import argparse

import numpy as np
from diffusers import DDPMScheduler

from mmdistill.generation.process import NoiseProcess

SCHEDULER = dict(variance_type='learned_range', timestep_spacing='linspace', clip_sample=False)


def learned_std(process, i, said):
    """The standard deviation of step ``i`` for network outputs ``said`` in [-1, 1], float64."""
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    now, before = kept[process.timesteps[i:i + 2].numpy()]
    beta = 1 - now / before
    share = (np.asarray(said, np.float64) + 1) / 2
    return np.exp((share * np.log(beta) + (1 - share) * np.log((1 - before) / (1 - now) * beta)) / 2)


def distances(steps=50):
    """The largest relative distance to any learned standard deviation, for each step but the last."""
    process = NoiseProcess(DDPMScheduler(**SCHEDULER), steps)
    return [np.abs(learned_std(process, i, [-1, 1]) / process.posterior_std(i) - 1).max() for i in range(steps - 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--steps', type=int, default=50)
    parser.add_argument('--window', type=float, nargs=2, default=(0.08, 0.4), help="DMGD's by default")
    args = parser.parse_args()
    found = distances(args.steps)
    first, last = (round(edge * args.steps) for edge in args.window)
    guided = range(first, min(last, len(found)))
    print(f'steps {guided[0]} to {guided[-1]} of {args.steps}: at most {max(found[i] for i in guided):.2%}\n'
          f'all steps: at most {max(found):.0%}')


if __name__ == '__main__':
    main()
