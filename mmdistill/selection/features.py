"""Choosing real samples by their features: herding, k-center, and random per class, to compare with."""
from typing import List, Optional, Sequence, Tuple

import numpy as np
from sklearn.utils import check_random_state

from ..errors import DistillError
from ..metrics.checks import check_features
from .base import Budget, Seed, Selector, check_params
from .budget import resolve_budget
from .centers import farthest_first

# Scores that differ by less than this, over the largest squared norm, are equal but for rounding.
_TIE = 1e-12


class FeatureSelector(Selector):
    """Chooses samples by their features, under a budget.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the samples to select; of those of each class
            with ``per_class``.
        per_class: Whether each class is selected from alone, with the whole budget.

    Attributes:
        selected_: int64 (n,), indices in the order in which they were picked; with ``per_class`` the classes one
            after the other, in the order of their labels.
    """
    needs = 'features'

    def __init__(self, budget: Budget, per_class: bool = False):
        self.budget = budget
        self.per_class = per_class

    def fit(self, features, labels: Optional[Sequence[int]] = None) -> 'FeatureSelector':
        """Select.

        Args:
            features: (N, D), finite.
            labels: (N,) class ids; not used unless ``per_class``.

        Raises:
            DistillError: Bad features, labels or budget, or a class with fewer samples than the budget.
        """
        check_params(self)
        features = check_features(features, 'real')
        groups = class_groups(labels, len(features), self.budget, self.per_class)
        # A shift changes neither method; around the mean, squared distances keep their digits.
        parts = ((features[indices] - features[indices].mean(axis=0, dtype=np.float64), count)
                 for indices, count in groups)
        picks = self._select(parts)
        self.n_features_in_ = features.shape[1]
        self.selected_ = np.concatenate([indices[pick] for (indices, _), pick in zip(groups, picks)])
        return self

    def _select(self, parts) -> List[Sequence[int]]:
        """For each part, its centred features float64 (n, D) and a count, the rows to select."""
        raise NotImplementedError


class HerdingSelector(FeatureSelector):
    r"""Herding (Welling 2009), in the greedy form of iCaRL (Rebuffi et al. 2017): match the mean of the features.

    .. math:: i_t = \arg\min_i \Big\| \mu - \frac1t \Big(\phi_i + \sum_{s < t} \phi_{i_s}\Big) \Big\|_2

    without replacement; μ is the mean of all (of the class, with ``per_class``). Equal: the lowest index.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the samples to select, in each class with
            ``per_class``.
        per_class: Whether each class is selected from alone.

    Attributes:
        selected_: int64 (n,), see :class:`FeatureSelector`.
    """

    def _select(self, parts):
        return [_herd(features, count) for features, count in parts]


class FeatureKCenterSelector(FeatureSelector):
    """Greedy k-center (Gonzalez 1985) on features: the sample farthest from all that are selected.

    The distance is Euclidean. The first sample (of each class, with ``per_class``) is random. Equal distances: the
    lowest index. It seeks out outliers: a set that covers, not one that represents.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the samples to select, in each class with
            ``per_class``.
        per_class: Whether each class is selected from alone.
        random_state: Seed of the first samples, or a ``numpy.random.RandomState``.

    Attributes:
        selected_: int64 (n,), see :class:`FeatureSelector`.
        radius_: The largest distance of a sample to the nearest selected one (of its class), in units of the features.
    """
    stochastic = True

    def __init__(self, budget: Budget, per_class: bool = False, random_state: Seed = 0):
        super().__init__(budget, per_class)
        self.random_state = random_state

    def _select(self, parts):
        rng = check_random_state(self.random_state)
        picks, radii = zip(*(_centers(features, count, rng) for features, count in parts))
        self.radius_ = max(radii)
        return picks


class RandomPerClassSelector(Selector):
    """Samples drawn uniformly in each class, without replacement.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the samples of each class to select.
        random_state: Seed, or a ``numpy.random.RandomState``.

    Attributes:
        selected_: int64 (n,), the classes one after the other, in the order of their labels.
    """
    needs = 'samples'
    stochastic = True
    per_class = True

    def __init__(self, budget: Budget, random_state: Seed = 0):
        self.budget = budget
        self.random_state = random_state

    def fit(self, samples, labels: Sequence[int]) -> 'RandomPerClassSelector':
        """Select.

        Args:
            samples: Only their number counts: anything of length N.
            labels: (N,) class ids.

        Raises:
            DistillError: Bad labels or budget, or a class with fewer samples than the budget.
        """
        check_params(self)
        rng = check_random_state(self.random_state)
        groups = class_groups(labels, len(samples), self.budget, True)
        self.selected_ = np.concatenate([rng.choice(indices, count, replace=False) for indices, count in groups])
        return self


def class_groups(labels: Optional[Sequence[int]], size: int, budget: Budget,
                 per_class: bool) -> List[Tuple[np.ndarray, int]]:
    """Indices int64 of each class, ascending, in the order of the labels, and how many of them to select.

    Without ``per_class`` all samples are one group.

    Raises:
        DistillError: Labels are missing or do not fit, or the budget is out of range for a class.
    """
    if not per_class:
        return [(np.arange(size), resolve_budget(budget, size, 'samples'))]
    if labels is None:
        raise DistillError('a selection per class needs labels: give fit the class id of each sample')
    array = np.asarray(labels)
    if array.shape != (size, ) or array.dtype.kind not in 'iu':
        raise DistillError(f'the labels have to be {size} whole numbers, one a sample, not {array.dtype} of shape '
                           f'{array.shape}')
    ids, counts = np.unique(array, return_counts=True)
    small = counts.argmin() if len(counts) else 0
    if isinstance(budget, (int, np.integer)) and len(counts) and budget > counts[small]:
        raise DistillError(f'class {ids[small]} has {counts[small]} samples, fewer than the budget of {budget} a class'
                           ': lower the budget or leave the class out')
    count_of = {int(n): resolve_budget(budget, int(n), 'samples') for n in counts}
    return [(np.flatnonzero(array == label), count_of[int(n)]) for label, n in zip(ids, counts)]


def _herd(features: np.ndarray, count: int) -> List[int]:
    """Rows of centred features (n, D), so that μ = 0: the sum of the selected is kept as near to 0 as can be."""
    norms = np.einsum('nd,nd->n', features, features)
    tolerance = _TIE * norms.max()
    total, free, selected = np.zeros(features.shape[1]), np.ones(len(features), bool), []
    for _ in range(count):
        scores = np.where(free, norms + 2 * (features @ total), np.inf)
        selected.append(int(np.argmax(scores <= scores.min() + tolerance)))
        free[selected[-1]] = False
        total += features[selected[-1]]
    return selected


def _centers(features: np.ndarray, count: int, rng: np.random.RandomState) -> Tuple[List[int], float]:
    """Rows of centred features (n, D), and the radius."""
    norms = np.einsum('nd,nd->n', features, features)

    def squared_to(index: int) -> np.ndarray:
        return np.maximum(norms - 2 * (features @ features[index]) + norms[index], 0)

    return farthest_first(squared_to, np.ones(len(features), bool), [rng.randint(len(features))], count)
