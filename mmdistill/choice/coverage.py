"""S³ of IMS3: keeps one of several candidates for each image of a class."""
from typing import Dict, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..errors import DistillError
from ..selection.clusters import LatentClusters
from ..settings import NonNegative, NonNegativeInt, validated

_LEAST = 1e-6  # lower limit of 1 - cos, so that equal features have a finite logarithm
_GAIN = 1e-9  # smaller improvements are rounding errors


class Chosen(NamedTuple):
    """The choice for one class."""
    candidates: np.ndarray  # int64 (n,), the chosen candidate of each image
    report: Dict[str, float]  # metrics: 'objective', 'objective_first' (of candidate set 0) and others


class CoverageChoice:
    r"""Chooses candidates that are close to the centroids of the real class and different from each other.

    S³ of IMS3 (CVPR 2026). Let :math:`c_{i,g}` be the features of candidate g of image i. For each image, one candidate
    :math:`c_i` is chosen to maximise

    .. math:: \alpha \sum_i -\log(1 - \cos(c_i, r_i)) + \beta \sum_{i<j} \log(1 - \cos(c_i, c_j))

    where :math:`r_i` are k-means centres of the features of the class's real images, one for each image. The paper uses
    5 candidates and the features of a ResNet-18 trained on ImageNet.

    The paper gives the objective, its two weights, and coordinate ascent as the method. The details are our choice:

    - Images generated from noise have no centroid, so the Hungarian algorithm assigns one to each. It maximises the
      first sum, with the best candidate of every image.
    - The ascent goes through the images in order until no single exchange improves the objective by more than 1e-9. It
      starts from each candidate set, and the best result is used (the first one of equal results). The choice is
      therefore at least as good as every candidate set.
    - 1 - cos is clamped to at least 1e-6.

    Args:
        alpha: Weight of the coverage.
        beta: Weight of the diversity.
        random_state: Seed of k-means.

    Example:
        >>> candidates = np.array([[[1.0, 0.1], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.2]]])  # 2 images, 2 candidates each
        >>> real = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> CoverageChoice()(candidates, real).candidates
        array([1, 0])
    """
    annotation = 'classes'

    @validated
    def __init__(self, alpha: NonNegative = 0.4, beta: NonNegative = 0.9, random_state: NonNegativeInt = 0) -> None:
        self.alpha, self.beta, self.random_state = alpha, beta, random_state

    def __call__(self, candidates: np.ndarray, real: np.ndarray, label: int = 0) -> Chosen:
        """Choose for one class.

        Args:
            candidates: Features (n, G, D) of n images with G candidates each.
            real: Features (N, D) of the class's real images. If N < n, each is a centroid, reused cyclically.
            label: Class id. K-means uses different random numbers for each class.

        Returns:
            Chosen: The report has ``objective``, ``objective_first``, and the mean cosine of images and centroids,
            ``cosine`` and ``cosine_first``.

        Raises:
            DistillError: Features that are not finite, or of other dimensions.
        """
        candidates, real = np.asarray(candidates, np.float64), np.asarray(real)
        if candidates.ndim != 3 or real.ndim != 2 or candidates.shape[2] != real.shape[1]:
            raise DistillError(f'features of candidates {candidates.shape} and of real images {real.shape} do not fit: '
                               'give (n, G, D) and (N, D)')
        if not np.isfinite(candidates).all():
            raise DistillError(f'features of candidates of class {label} are not finite: use another encoder')
        count = len(candidates)
        centroids = LatentClusters(count, label, self.random_state).partial_fit(real).finish().centers_
        images, centroids = _unit(candidates), _unit(centroids[np.arange(count) % len(centroids)].astype(np.float64))
        cosine = images @ centroids.T  # (n, G, n)
        order = linear_sum_assignment(_closeness(cosine).max(1), maximize=True)[1]
        cosine = cosine[np.arange(count), :, order]  # (n, G)
        gains = self.alpha * _closeness(cosine)
        pairs = -self.beta * _closeness(np.einsum('igd,jhd->igjh', images, images))
        ends = [_ascend(gains, pairs, np.full(count, start)) for start in range(candidates.shape[1])]
        values = [_objective(gains, pairs, end) for end in ends]
        best = next(end for end, value in zip(ends, values) if value >= max(values) - _GAIN)
        first = np.zeros(count, np.int64)
        report = {f'{name}{suffix}': float(value) for suffix, kept in (('_first', first), ('', best)) for name, value in
                  (('objective', _objective(gains, pairs, kept)), ('cosine', cosine[np.arange(count), kept].mean()))}
        return Chosen(best, report)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), np.finfo(np.float64).tiny)


def _closeness(cosine: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(1 - cosine, _LEAST))


def _objective(gains: np.ndarray, pairs: np.ndarray, kept: np.ndarray) -> float:
    """Objective of the candidates ``kept`` (n,), from gains (n, G) and the symmetric pairs (n, G, n, G)."""
    rows = np.arange(len(kept))
    return gains[rows, kept].sum() + np.triu(pairs[rows, kept][:, rows, kept], 1).sum()


def _ascend(gains: np.ndarray, pairs: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Coordinate ascent that starts from the candidates ``kept`` (n,) and changes them in place."""
    rows, changed = np.arange(len(kept)), True
    while changed:
        changed = False
        for row in rows:
            others = rows[rows != row]
            values = gains[row] + pairs[row][:, others, kept[others]].sum(1)
            best = values.argmax()
            if values[best] > values[kept[row]] + _GAIN:
                kept[row], changed = best, True
    return kept
