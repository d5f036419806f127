"""Baseline selectors of real samples: herding and k-center on features, and random per class."""
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.extmath import row_norms

from ..errors import DistillError, counted
from ..metrics.checks import check_features, check_labels
from .base import TIE, Budget, Selector, Stochastic, check_params, resolve_budget
from .baselines import farthest_first


@dataclass(eq=False, repr=False)
class FeatureSelector(Selector):
    """Selects samples by their features, under a budget.

    Args:
        budget: Number (int) or ratio (float in (0, 1), rounded up) of the samples to select, in total or per class.
        per_class: Whether the budget is per class and each class is treated separately.

    Attributes:
        selected_: int64 (n,), indices in order of selection; with ``per_class``, class after class in the order of the
            labels.
    """
    budget: Budget
    per_class: bool = False
    needs = 'features'

    def fit(self, features, labels: Optional[Sequence[int]] = None) -> 'FeatureSelector':
        """Select samples.

        Args:
            features: (N, D).
            labels: (N,) class ids; only needed with ``per_class``.

        Raises:
            DistillError: Features, labels or budget are invalid, or a class has fewer samples than the budget.
        """
        check_params(self)
        features = check_features(features, 'real')
        groups = class_groups(labels, len(features), self.budget, self.per_class)
        # A shift does not change the selection, and centring keeps squared distances precise.
        parts = ((features[indices] - features[indices].mean(axis=0, dtype=np.float64), count)
                 for indices, count in groups)
        picks = self._select(parts)
        self.n_features_in_ = features.shape[1]
        self.selected_ = np.concatenate([indices[pick] for (indices, _), pick in zip(groups, picks)])
        return self

    def _select(self, parts) -> List[Sequence[int]]:
        """Return the selected rows for each part: (centred features float64 (n, D), number of rows to select)."""
        raise NotImplementedError


class HerdingSelector(FeatureSelector):
    r"""Herding (Welling 2009), in the greedy form of iCaRL (Rebuffi et al. 2017): matches the mean of the features.

    .. math:: i_t = \arg\min_i \Big\| \mu - \frac1t \Big(\phi_i + \sum_{s < t} \phi_{i_s}\Big) \Big\|_2

    without replacement, where μ is the mean of all features (of the class, with ``per_class``). Ties are broken by the
    lowest index.

    Example:
        >>> features = [[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [5.0, 5.0]]
        >>> HerdingSelector(budget=1, per_class=True).fit(features, labels=[0, 0, 0, 1]).selected_
        array([2, 3])
    """

    def _select(self, parts):
        return [_herd(features, count) for features, count in parts]


@dataclass(eq=False, repr=False)
class FeatureKCenterSelector(Stochastic, FeatureSelector):
    """Greedy k-center (Gonzalez 1985) on features: selects the sample farthest from all selected ones.

    The distance is Euclidean. The first sample (of each class, with ``per_class``) is random. Ties are broken by the
    lowest index. The method tends to select outliers: it covers the data, but does not represent its density.

    Attributes:
        radius_: Largest distance from a sample to the nearest selected one (of its class), in units of the features.

    Example:
        >>> features = [[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [5.0, 5.0]]
        >>> FeatureKCenterSelector(budget=2).fit(features).selected_.shape
        (2,)
    """

    def _select(self, parts):
        rng = check_random_state(self.random_state)
        picks, radii = zip(*(farthest_first(x, np.ones(len(x), bool), [rng.randint(len(x))], n) for x, n in parts))
        self.radius_ = max(radii)
        return picks


@dataclass(eq=False, repr=False)
class RandomPerClassSelector(Stochastic, Selector):
    """Selects samples uniformly at random within each class, without replacement.

    Args:
        budget: Number (int) or ratio (float in (0, 1), rounded up) of samples to select per class.
        random_state: Seed, or a numpy RandomState.

    Attributes:
        selected_: int64 (n,), class after class in the order of the labels.

    Example:
        >>> selector = RandomPerClassSelector(budget=1).fit(['a.jpg', 'b.jpg', 'c.jpg'], labels=[0, 0, 1])
        >>> selector.selected_.shape
        (2,)
    """
    budget: Budget
    needs = 'samples'
    per_class = True

    def fit(self, samples, labels: Sequence[int]) -> 'RandomPerClassSelector':
        """Select samples.

        Args:
            samples: Any sequence of length N.
            labels: (N,) class ids.

        Raises:
            DistillError: Labels or budget are invalid, or a class has fewer samples than the budget.
        """
        check_params(self)
        rng = check_random_state(self.random_state)
        groups = class_groups(labels, len(samples), self.budget, True)
        self.selected_ = np.concatenate([rng.choice(indices, count, replace=False) for indices, count in groups])
        return self


def class_groups(labels: Optional[Sequence[int]], size: int, budget: Budget,
                 per_class: bool) -> List[Tuple[np.ndarray, int]]:
    """Groups of samples and the number of samples to select from each.

    Args:
        labels: (N,) class ids; only needed with ``per_class``.
        size: Number of samples N.
        budget: Number or ratio of samples, in total or per class.
        per_class: True: one group per class, in the order of the labels. False: a single group.

    Returns:
        (indices int64, ascending; number to select) pairs.

    Raises:
        DistillError: Labels are missing or invalid, or the budget is out of range for a class.
    """
    if not per_class or not size:
        return [(np.arange(size), resolve_budget(budget, size, 'sample'))]
    if labels is None:
        raise DistillError('a selection per class needs labels: give fit the class id of each sample')
    array = check_labels(labels, size, 'the')
    ids, counts = np.unique(array, return_counts=True)
    small = counts.argmin()
    if isinstance(budget, (int, np.integer)) and budget > counts[small]:
        raise DistillError(f'class {ids[small]} has {counted(counts[small], "sample")}, fewer than the budget of '
                           f'{budget} per class: lower the budget or leave the class out')
    return [(np.flatnonzero(array == label), resolve_budget(budget, int(n), 'sample'))
            for label, n in zip(ids, counts)]


def _herd(features: np.ndarray, count: int) -> List[int]:
    """Greedy herding on centred features (n, D): since μ = 0, the norm of the sum of the selected rows is minimised."""
    norms = row_norms(features, squared=True)
    tolerance = TIE * norms.max()
    total, free, selected = np.zeros(features.shape[1]), np.ones(len(features), bool), []
    for _ in range(count):
        scores = np.where(free, norms + 2 * (features @ total), np.inf)
        selected.append(int(np.argmax(scores <= scores.min() + tolerance)))
        free[selected[-1]] = False
        total += features[selected[-1]]
    return selected
