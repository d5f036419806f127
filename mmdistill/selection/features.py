"""Choosing real samples by their features: herding, k-center, and random per class, to compare with."""
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.extmath import row_norms

from ..errors import DistillError
from ..metrics.checks import check_features, check_labels
from .base import TIE, Budget, Selector, Stochastic, check_params, resolve_budget
from .baselines import farthest_first


@dataclass(eq=False, repr=False)
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
    budget: Budget
    per_class: bool = False
    needs = 'features'

    def fit(self, features, labels: Optional[Sequence[int]] = None) -> 'FeatureSelector':
        """Select by ``features`` (N, D), and class ids ``labels`` (N,) with ``per_class``.

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
    """

    def _select(self, parts):
        return [_herd(features, count) for features, count in parts]


@dataclass(eq=False, repr=False)
class FeatureKCenterSelector(Stochastic, FeatureSelector):
    """Greedy k-center (Gonzalez 1985) on features: the sample farthest from all that are selected.

    The distance is Euclidean. The first sample (of each class, with ``per_class``) is random. Equal distances: the
    lowest index. It seeks out outliers: a set that covers, not one that represents.

    Attributes:
        radius_: The largest distance of a sample to the nearest selected one (of its class), in units of the features.
    """

    def _select(self, parts):
        rng = check_random_state(self.random_state)
        picks, radii = zip(*(farthest_first(x, np.ones(len(x), bool), [rng.randint(len(x))], n) for x, n in parts))
        self.radius_ = max(radii)
        return picks


@dataclass(eq=False, repr=False)
class RandomPerClassSelector(Stochastic, Selector):
    """Samples drawn uniformly in each class, without replacement.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the samples of each class to select.

    Attributes:
        selected_: int64 (n,), the classes one after the other, in the order of their labels.
    """
    budget: Budget
    needs = 'samples'
    per_class = True

    def fit(self, samples, labels: Sequence[int]) -> 'RandomPerClassSelector':
        """Select from ``samples``, anything of length N, by class ids ``labels`` (N,).

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

    Without ``per_class`` all samples are one group. A DistillError where labels are missing or do not fit, or the
    budget is out of range for a class.
    """
    if not per_class or not size:
        return [(np.arange(size), resolve_budget(budget, size, 'samples'))]
    if labels is None:
        raise DistillError('a selection per class needs labels: give fit the class id of each sample')
    array = check_labels(labels, size, 'the')
    ids, counts = np.unique(array, return_counts=True)
    small = counts.argmin()
    if isinstance(budget, (int, np.integer)) and budget > counts[small]:
        raise DistillError(f'class {ids[small]} has {counts[small]} samples, fewer than the budget of {budget} a class'
                           ': lower the budget or leave the class out')
    return [(np.flatnonzero(array == label), resolve_budget(budget, int(n), 'samples'))
            for label, n in zip(ids, counts)]


def _herd(features: np.ndarray, count: int) -> List[int]:
    """Rows of centred features (n, D), so that μ = 0: the sum of the selected is kept as near to 0 as can be."""
    norms = row_norms(features, squared=True)
    tolerance = TIE * norms.max()
    total, free, selected = np.zeros(features.shape[1]), np.ones(len(features), bool), []
    for _ in range(count):
        scores = np.where(free, norms + 2 * (features @ total), np.inf)
        selected.append(int(np.argmax(scores <= scores.min() + tolerance)))
        free[selected[-1]] = False
        total += features[selected[-1]]
    return selected
