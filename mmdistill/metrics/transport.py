"""Optimal-transport distances between two sets of features: of the samples (by POT), and of fitted Gaussians."""
import warnings
from typing import NamedTuple, Tuple

import numpy as np
from scipy.linalg import qr, svdvals
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from ..errors import DistillError
from .checks import check_pair


class Transport(NamedTuple):
    """A distance and the method: ``'exact'``, or ``'entropic'`` (an upper bound)."""
    distance: float
    method: str


def transport_distance(real, distilled, *, exact_limit: int = 2**25, epsilon: float = 0.01,
                       max_iter: int = 1000) -> Transport:
    r"""2-Wasserstein distance between two sets of features with uniform weights.

    .. math:: W_2 = \Big(\min_{P \ge 0,\ P 1 = 1/N,\ P^T 1 = 1/M} \sum_{ij} P_{ij} \|x_i - y_j\|_2^2\Big)^{1/2}

    Up to ``exact_limit`` pairs, it is computed exactly by the network simplex in float64. Above, Sinkhorn iterations in
    the log domain and float32 are used, and their plan is rounded to the exact marginals (Altschuler et al. 2017,
    algorithm 2). The result is then an upper bound of the distance, even without convergence, and converges to it for
    epsilon → 0.

    Args:
        real, distilled: (N, D) and (M, D).
        exact_limit: Largest N · M that is solved exactly. Memory: about 45 bytes per pair, 20 above the limit.
        epsilon: Entropic regularisation relative to the mean cost, > 0. Smaller values are more accurate and need more
            iterations.
        max_iter: Maximum number of Sinkhorn iterations.

    Returns:
        Transport: The distance W_2 >= 0, in units of the features, and the method.

    Raises:
        DistillError: The features (:func:`~mmdistill.metrics.checks.check_pair`) or epsilon are invalid.

    Example:
        >>> transport_distance([[0.0, 0.0], [1.0, 0.0]], [[1.0, 3.0], [0.0, 3.0]])
        Transport(distance=3.0, method='exact')
    """
    import ot
    if not epsilon > 0:
        raise DistillError(f'epsilon {epsilon} is out of range: it has to be above 0')
    real, distilled = check_pair(real, distilled)
    exact = len(real) * len(distilled) <= exact_limit
    costs = _costs(real, distilled, np.float64 if exact else np.float32)
    if exact:
        cost, log = ot.emd2([], [], costs, numItermax=10**9, log=True)
        if log['warning'] is not None:
            raise RuntimeError(f'the network simplex failed: {log["warning"]}')
    else:
        cost = _entropic(costs, epsilon, max_iter)
    return Transport(float(max(cost, 0)**0.5), 'exact' if exact else 'entropic')


def frechet_distance(real, distilled) -> float:
    r"""Squared Fréchet distance between Gaussians with the sets' means and covariances (Dowson & Landau 1982).

    .. math:: d^2 = \|\mu_r - \mu_d\|^2 + \mathrm{tr}\big(S_r + S_d - 2 (S_r S_d)^{1/2}\big)

    With Inception features, this is the FID. With S = AᵀA, tr (S_r S_d)^{1/2} is the sum of the singular values of
    A_r A_dᵀ, where A can be the centred samples divided by √(N - 1). No covariance and no matrix root is computed, so
    there may be fewer samples than dimensions, and no complex numbers occur.

    Args:
        real, distilled: (N, D) and (M, D), N and M >= 2.

    Returns:
        float: d² >= 0, in squared units of the features.

    Raises:
        DistillError: The features are invalid, or a set has fewer than 2 samples.

    Example:
        >>> real = [[0.0, 0.0], [2.0, 0.0]]
        >>> distilled = [[0.0, 3.0], [2.0, 3.0]]  # moved by 3
        >>> round(frechet_distance(real, distilled), 6)
        9.0
    """
    real, distilled = check_pair(real, distilled, 2)
    shift = real.mean(axis=0) - distilled.mean(axis=0)
    roots = [_root(features) for features in (real, distilled)]
    spread = sum(np.square(root).sum() for root in roots)
    return float(max(shift @ shift + spread - 2 * svdvals(roots[0] @ roots[1].T).sum(), 0))


def _costs(x: np.ndarray, y: np.ndarray, dtype) -> np.ndarray:
    """Squared distances (N, M), computed in float64 and stored as ``dtype``."""
    costs = np.empty((len(x), len(y)), dtype)
    for rows in gen_batches(len(x), 1024):
        costs[rows] = euclidean_distances(x[rows], y, squared=True)
    return costs


def _entropic(costs: np.ndarray, epsilon: float, max_iter: int) -> float:
    import ot
    import torch
    mean = float(costs.mean(dtype=np.float64))
    if mean == 0:
        return 0.0
    cost = torch.from_numpy(costs)
    a, b = (torch.full((size, ), 1 / size) for size in cost.shape)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Sinkhorn did not converge')  # the rounding below makes the plan feasible
        plan = ot.sinkhorn(a, b, cost, epsilon * mean, method='sinkhorn_log', numItermax=max_iter,
                           stopThr=1e-4 / len(b)**0.5)  # the 2-norm of the error of a marginal 1/M: 1e-4 of each
    row_gap, column_gap = _round(plan)
    rest = column_gap / row_gap.sum().clamp(min=1e-300)  # the outer product of the gaps distributes the remaining mass
    total = 0.0
    for part, block, gap in zip(plan.split(1024), cost.split(1024), row_gap.split(1024)):
        block = block.double()
        total += float((part * block).sum() + gap @ (block @ rest))
    return total


def _round(plan) -> Tuple:
    """Scale rows and columns of a plan down in place to sums of at most 1/N and 1/M; return the remaining gaps."""
    import torch
    n, m = plan.shape
    plan *= (1 / n / plan.sum(1, dtype=torch.float64)).clamp(max=1).to(plan.dtype)[:, None]
    plan *= (1 / m / plan.sum(0, dtype=torch.float64)).clamp(max=1).to(plan.dtype)
    return tuple((1 / size - plan.sum(axis, dtype=torch.float64)).clamp(min=0) for size, axis in ((n, 1), (m, 0)))


def _root(features: np.ndarray) -> np.ndarray:
    """A, (min(N, D), D), such that AᵀA is the covariance (normalised by N - 1)."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    tall = len(centred) > centred.shape[1]
    return qr(centred, mode='r', overwrite_a=True)[0][:centred.shape[1]] if tall else centred
