"""Reproducible views: random transforms and CutMix determined by (seed, image, epoch).

The seed is in 0..2**63 - 1, the image is an index in the dataset, and epochs are counted from 0. With counter-based
random generators (Philox, Salmon et al. 2011), views are independent, so they are the same for any number of workers,
batch size and order. Views use only raw words of numpy's generators, and numpy's legacy generator, which OpenMMLab's
transforms use; numpy guarantees that both streams do not change.
"""
import contextlib
import random
from typing import Iterator, Tuple

import numpy as np
import torch
from scipy.special import betaincinv

_TRANSFORMS, _MIX = 0, 1


def _words(seed: int, image: int, epoch: int, stream: int, count: int) -> np.ndarray:
    """``count`` random uint64."""
    return np.random.Philox(key=[seed, image], counter=[0, stream, epoch, 0]).random_raw(count)


@contextlib.contextmanager
def seeded(seed: int, image: int, epoch: int) -> Iterator[None]:
    """Context manager that seeds the global random generators of numpy, Python and PyTorch for a view.

    Their states are restored afterwards.

    Example:
        >>> with seeded(seed=0, image=3, epoch=1):
        ...     first = np.random.rand()
        >>> with seeded(seed=0, image=3, epoch=1):
        ...     first == np.random.rand()
        True
    """
    states = np.random.get_state(), random.getstate(), torch.get_rng_state()
    words = _words(seed, image, epoch, _TRANSFORMS, 4)
    try:
        np.random.seed(words[:2].view(np.uint32))
        random.seed(int(words[2]))
        torch.default_generator.manual_seed(int(words[3] >> np.uint64(1)))
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
        torch.set_rng_state(states[2])


def draw_mix(seed: int, image: int, epoch: int, images: int, size: Tuple[int, int], alpha: float
             ) -> Tuple[int, slice, slice]:
    """Draw the CutMix (arXiv 1905.04899) of a view, as mmpretrain does for a batch, but separately for each image.

    λ ~ Beta(α, α); the sides of the box are sqrt(1 - λ) times those of the image, its centre is uniformly distributed,
    and it is clipped to the image.

    Args:
        seed, image, epoch: The view.
        images: Size of the dataset.
        size: (height, width) of the view in pixels.
        alpha: α > 0.

    Returns:
        Index of the image (possibly the same) whose view of this epoch fills the box, and rows and columns of the box.
    """
    draws = (_words(seed, image, epoch, _MIX, 4) >> np.uint64(11)) * 2.0**-53  # uniform in [0, 1)
    lam = draws[1] if alpha == 1 else betaincinv(alpha, alpha, draws[1])
    rows, columns = (_span(int(place * side), int(side * np.sqrt(1 - lam)) // 2, side)
                     for place, side in zip(draws[2:], size))
    return int(draws[0] * images), rows, columns


def _span(centre: int, half: int, side: int) -> slice:
    return slice(max(centre - half, 0), min(centre + half, side))
