"""Base classes of selectors: the estimator contract, budgets, input checks, class fractions."""
import math
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral
from typing import Annotated, Optional, Sequence, Tuple, Union

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator

from ..errors import DistillError, counted
from ..settings import NonNegativeInt, Range, check_value, parameters

Budget = Union[Annotated[int, Range(1)], Annotated[float, Range(0, 1, above=True, below=True)]]
Seed = Optional[Annotated[int, Range(0, 2**32 - 1)]]
MinFraction = Annotated[float, Range(0, 1, below=True)]
# Gains and distances with a smaller relative difference are considered equal, and the lowest index wins, so that
# rounding does not change the selection.
TIE = 1e-12


class Selector(BaseEstimator):
    """Selects real samples under a budget; a scikit-learn estimator.

    Subclasses are dataclasses: ``__init__`` stores the arguments, whose annotations define the valid values, and
    ``fit`` validates them.
    """
    # Input of fit(): 'histograms' (class histograms (N, K)), 'features' (features (N, D) and class ids (N,)) or
    # 'samples' (any sequence of length N and class ids (N,)).
    needs: str
    stochastic: bool = False  # whether the selection depends on the setting random_state
    per_class: bool = False  # whether the budget is per class


@dataclass(eq=False, repr=False, kw_only=True)
class Stochastic:
    """Mixin of selectors that draw random numbers; it must precede the other base class."""
    random_state: Seed = 0  # or a numpy.random.RandomState
    stochastic = True


@dataclass(eq=False, repr=False)
class BaseSelector(Selector):
    """Selects masks by their class histograms.

    Args:
        budget: Number (int) or ratio (float in (0, 1), rounded up) of the masks to select.
        init: Indices of masks that are already selected. They come first in ``selected_`` and count towards the budget.

    Attributes:
        selected_: int64 (budget,), indices in order of selection, ``init`` first.
    """
    budget: Budget
    init: Optional[Sequence[int]] = field(default=None, kw_only=True)
    needs = 'histograms'

    def fit(self, histograms, y=None) -> 'BaseSelector':
        """Select masks.

        Args:
            histograms: (N, K), pixels of each class in each mask, integers >= 0. Masks without pixels are not selected.
            y: Not used.

        Raises:
            DistillError: The histograms, the budget or ``init`` are invalid, or fewer masks than the budget are usable.
        """
        check_params(self)
        counts = check_histograms(histograms)
        budget = resolve_budget(self.budget, len(counts))
        usable = counts.sum(axis=1) > 0
        if usable.sum() < budget:
            advice = f'lower the budget to {usable.sum()}' if usable.any() else 'check the ids in the masks'
            raise DistillError(f'the budget is {counted(budget, "mask")}, but only {usable.sum()} of {len(counts)} '
                               f'have a labelled pixel: {advice}')
        init = check_init(self.init, usable, budget)
        self.n_features_in_ = counts.shape[1]
        self.selected_ = np.asarray(self._select(counts, usable, budget, init), np.int64)
        return self

    def _select(self, counts: np.ndarray, usable: np.ndarray, budget: int, init: np.ndarray) -> Sequence[int]:
        """Return the indices of ``budget`` usable masks, ``init`` first; counts int64 (N, K), usable bool (N,)."""
        raise NotImplementedError


@dataclass(eq=False, repr=False, kw_only=True)
class PresenceSelector(BaseSelector):
    """A selector that ignores a class in masks where it is too small.

    Args:
        min_area: Minimum number of pixels for a class to be present in a mask.
        min_fraction: Minimum share of the mask's labelled pixels, in [0, 1), for a class to be present. The default,
            0.001, is 4 of the 64x64 latent pixels of a 512x512 image; smaller objects cannot be generated.

    Attributes:
        too_small_: int64, ids of classes that have pixels in the set but are present in no mask.
    """
    min_area: NonNegativeInt = 1
    min_fraction: MinFraction = 0.001

    def _fractions(self, counts: np.ndarray) -> csr_array:
        fractions = class_fractions(counts, self.min_area, self.min_fraction)
        present = np.bincount(fractions.indices, minlength=counts.shape[1]) > 0
        self.too_small_ = np.flatnonzero(counts.any(axis=0) & ~present)
        return fractions


def check_params(estimator: BaseEstimator) -> None:
    """Raise a DistillError if a parameter of an estimator does not match its annotation."""
    for name, (_, hint) in parameters(type(estimator)).items():
        value = getattr(estimator, name, None)
        if not isinstance(value, np.random.RandomState):
            check_value(f'{type(estimator).__name__}.{name}', value, hint)


def resolve_budget(budget: Union[int, float], total: int, what: str = 'mask') -> int:
    """Convert a budget to a number of samples.

    Args:
        budget: Number of samples, 1..total, or ratio in (0, 1), rounded up: 0.01 of 20 210 masks is 203.
        total: Number of available samples.
        what: Name of a sample in messages.

    Raises:
        DistillError: The budget is out of range.

    Example:
        >>> resolve_budget(0.01, 20210), resolve_budget(50, 20210)
        (203, 50)
    """
    if total < 1:
        raise DistillError(f'there are no {what}s to select from: check the data root and its folders')
    check_value('budget', budget, Budget)
    if isinstance(budget, Integral):
        if budget > total:
            raise DistillError(f'budget {budget} is out of range: the set has {counted(total, what)}, use 1..{total}')
        return int(budget)
    # Exact decimal arithmetic: as floats, 0.07 * 100 is 7.000000000000001, which would be rounded up to 8.
    return math.ceil(Fraction(repr(float(budget))) * total)


def check_histograms(histograms) -> np.ndarray:
    """``histograms`` as int64 (N, K); raises a DistillError unless they are two-dimensional integers >= 0."""
    counts = np.asarray(histograms)
    if counts.ndim != 2 or 0 in counts.shape:
        raise DistillError(f'class histograms have to be of shape (masks, classes), not {counts.shape}')
    if counts.dtype.kind not in 'iuf':
        raise DistillError(f'class histograms have to be integers, not {counts.dtype}')
    if not np.isfinite(counts).all() or (counts != np.rint(counts)).any():
        raise DistillError('class histograms are counts of pixels: one value is not a whole number')
    counts = counts.astype(np.int64, copy=False)
    if counts.min() < 0:
        raise DistillError(f'class histograms are counts of pixels: mask {counts.min(axis=1).argmin()} has a negative '
                           'count')
    return counts


def check_init(init: Optional[Sequence[int]], usable: np.ndarray, budget: int) -> np.ndarray:
    """``init`` as int64 (n,); raises a DistillError unless it has at most ``budget`` distinct indices of usable masks.
    """
    indices = np.asarray([] if init is None else init)
    if indices.ndim != 1 or (indices.size and indices.dtype.kind not in 'iu'):
        raise DistillError('init has to be a list of mask indices')
    indices = indices.astype(np.int64)
    if len(indices) > budget:
        raise DistillError(f'init has {counted(len(indices), "mask")}, but they count towards the budget of {budget}')
    outside = indices[(indices < 0) | (indices >= len(usable))]
    if len(outside):
        raise DistillError(f'init names mask {outside[0]}: the set has masks 0..{len(usable) - 1}')
    if not usable[indices].all():
        raise DistillError(f'init names mask {indices[~usable[indices]][0]}, which has no labelled pixel')
    if len(np.unique(indices)) != len(indices):
        raise DistillError('init names a mask twice')
    return indices


def class_fractions(counts: np.ndarray, min_area: int = 1, min_fraction: float = 0.0) -> csr_array:
    """Share of each class in the labelled pixels of each mask.

    Args:
        counts: int64 (N, K), class histograms.
        min_area, min_fraction: See :class:`PresenceSelector`; shares of absent classes are 0.

    Returns:
        float64 (N, K), sparse, with ascending column indices in each row.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return csr_array(np.where((counts >= min_area) & (shares >= min_fraction), shares, 0))


def split_by_class(fractions: csr_array) -> Tuple[np.ndarray, ...]:
    """For each class, the masks with that class, by descending share, then by ascending index."""
    by_class = fractions.tocsc()
    spans = zip(by_class.indptr[:-1], by_class.indptr[1:])
    return tuple(by_class.indices[a:b][np.argsort(-by_class.data[a:b], kind='stable')] for a, b in spans)
