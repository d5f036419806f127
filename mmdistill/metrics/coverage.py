"""Coverage and density of a distilled set with respect to the real set, and diversity of a set."""
from typing import Dict

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from ..errors import DistillError
from .checks import check_features, check_pair

# MiB of one block of distances.
_BLOCK = 64
# Relative difference below which distances are considered equal; a sample at the radius is outside the open ball.
_TIE = 1e-9


def coverage_density(real, distilled, k: int = 5) -> Dict[str, float]:
    r"""Coverage and density (Naeem et al. 2020, arXiv 2002.09797, equations 4 and 5).

    B_i is the open ball around the real sample X_i whose radius is the distance to its k-th nearest other real sample.

    .. math:: coverage = \frac1N \sum_i 1[\exists j: Y_j \in B_i], \quad
              density = \frac{1}{kM} \sum_j \sum_i 1[Y_j \in B_i]

    Args:
        real, distilled: (N, D) and (M, D), N > k.
        k: Rank of the neighbour, at least 1. Coverage grows with k and M, so compare sets of the same size.

    Returns:
        dict: ``coverage``, 0..1, and ``density``, >= 0, which is about 1 if both sets have the same distribution.

    Raises:
        DistillError: The features are invalid, k < 1, or there are at most k real samples.

    Example:
        >>> coverage_density([[0.0], [1.0], [2.0], [9.0]], [[0.4], [1.6]], k=1)
        {'coverage': 0.75, 'density': 2.0}
    """
    if k < 1:
        raise DistillError(f'k {k} is out of range: it has to be 1 or more')
    if len(real) <= k:
        raise DistillError(f'k {k} needs more than {k} real samples, there are {len(real)}: lower k')
    real, distilled = check_pair(real, distilled)
    radii = NearestNeighbors(n_neighbors=k, algorithm='brute').fit(real).kneighbors()[0][:, -1]

    def inside(distances: np.ndarray, start: int) -> np.ndarray:
        ball = radii[start:start + len(distances), None] * (1 - _TIE)
        return (distances < ball).sum(axis=1)

    blocks = pairwise_distances_chunked(real, distilled, reduce_func=inside, working_memory=_BLOCK)
    hits = np.concatenate(list(blocks))
    return dict(coverage=float((hits > 0).mean()), density=float(hits.sum() / (k * len(distilled))))


def diversity(features, name: str = 'distilled') -> float:
    """Mean Euclidean distance over all pairs of different samples.

    Args:
        features: (N, D), N >= 2.
        name: Name of the set in messages.

    Returns:
        float: The distance, in units of the features.

    Raises:
        DistillError: The features are invalid, or there are fewer than 2 samples.

    Example:
        >>> diversity([[0.0, 0.0], [3.0, 4.0]])
        5.0
    """
    features = check_features(features, name, 2)
    features = features - features.mean(axis=0, dtype=np.float64)
    blocks = pairwise_distances_chunked(features, working_memory=_BLOCK)
    return float(sum(block.sum() for block in blocks) / (len(features) * (len(features) - 1)))
