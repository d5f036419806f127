"""What all selectors share: the estimator contract, budgets, checks of the input, class fractions."""
import math
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral
from typing import Annotated, Optional, Sequence, Tuple, Union

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator

from ..errors import DistillError
from ..settings import NonNegativeInt, Range, check_value, parameters

Budget = Union[Annotated[int, Range(1)], Annotated[float, Range(0, 1, above=True, below=True)]]
Seed = Optional[Annotated[int, Range(0, 2**32 - 1)]]
MinFraction = Annotated[float, Range(0, 1, below=True)]
# Gains and distances that differ by less than this, relatively to the largest, are equal but for rounding: the lowest
# index wins, whatever the order in which a machine adds.
TIE = 1e-12


class Selector(BaseEstimator):
    """Chooses real samples under a budget; a scikit-learn estimator.

    ``__init__`` (of a dataclass) stores its arguments, and their annotations say what they may be; ``fit`` checks and
    uses them.
    """
    # What fit() takes: 'histograms' (N, K) of classes, 'features' (N, D) and class ids (N,), or 'samples', anything of
    # length N and class ids (N,).
    needs: str
    stochastic: bool = False  # whether the selection depends on the setting random_state
    per_class: bool = False  # whether the budget is of each class


@dataclass(eq=False, repr=False, kw_only=True)
class Stochastic:
    """A selector that draws random numbers; to be named before the other base class."""
    random_state: Seed = 0  # or a numpy.random.RandomState
    stochastic = True


@dataclass(eq=False, repr=False)
class BaseSelector(Selector):
    """Chooses masks by their class histograms.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the masks to select.
        init: Indices of masks that are chosen already. They come first in ``selected_`` and count towards the budget.

    Attributes:
        selected_: int64 (budget,), indices in the order in which they were picked, ``init`` first.
    """
    budget: Budget
    init: Optional[Sequence[int]] = field(default=None, kw_only=True)
    needs = 'histograms'

    def fit(self, histograms, y=None) -> 'BaseSelector':
        """Select by ``histograms`` (N, K), the pixels of each class in each mask; a mask of zeros is never picked.

        Raises:
            DistillError: Bad histograms, budget or init, or fewer usable masks than the budget.
        """
        check_params(self)
        counts = check_histograms(histograms)
        budget = resolve_budget(self.budget, len(counts))
        usable = counts.sum(axis=1) > 0
        if usable.sum() < budget:
            advice = f'lower the budget to {usable.sum()}' if usable.any() else 'check the ids in the masks'
            raise DistillError(f'the budget is {budget} masks, but only {usable.sum()} of {len(counts)} have a '
                               f'labelled pixel: {advice}')
        init = check_init(self.init, usable, budget)
        self.n_features_in_ = counts.shape[1]
        self.selected_ = np.asarray(self._select(counts, usable, budget, init), np.int64)
        return self

    def _select(self, counts: np.ndarray, usable: np.ndarray, budget: int, init: np.ndarray) -> Sequence[int]:
        """Indices of ``budget`` usable masks, ``init`` first. ``counts`` is int64 (N, K), ``usable`` bool (N,)."""
        raise NotImplementedError


@dataclass(eq=False, repr=False, kw_only=True)
class PresenceSelector(BaseSelector):
    """A selector for which a class is in a mask only above a minimum presence.

    Args:
        min_area: Pixels that a class needs to count as present.
        min_fraction: Share of the mask's labelled pixels that a class needs to count as present, in [0, 1). The
            default, 0.001, is 4 of the 64x64 latent pixels of a 512x512 image: what is smaller cannot be drawn.

    Attributes:
        too_small_: int64, the classes that have pixels in the set but nowhere enough to count as present.
    """
    min_area: NonNegativeInt = 1
    min_fraction: MinFraction = 0.001

    def _fractions(self, counts: np.ndarray) -> csr_array:
        fractions = class_fractions(counts, self.min_area, self.min_fraction)
        present = np.bincount(fractions.indices, minlength=counts.shape[1]) > 0
        self.too_small_ = np.flatnonzero(counts.any(axis=0) & ~present)
        return fractions


def check_params(estimator: BaseEstimator) -> None:
    """Raise a DistillError if a parameter of an estimator does not fit its annotation."""
    for name, (_, hint) in parameters(type(estimator)).items():
        value = getattr(estimator, name, None)
        if not isinstance(value, np.random.RandomState):
            check_value(f'{type(estimator).__name__}.{name}', value, hint)


def resolve_budget(budget: Union[int, float], total: int, what: str = 'masks') -> int:
    """How many of ``total`` samples a budget is; a ratio is rounded up: 0.01 of 20 210 masks is 203.

    Raises:
        DistillError: The budget is no count of 1..total and no ratio in (0, 1). Messages call the samples ``what``.
    """
    if total < 1:
        raise DistillError(f'there are no {what} to select from: check the data root and its folders')
    check_value('budget', budget, Budget)
    if isinstance(budget, Integral):
        if budget > total:
            raise DistillError(f'budget {budget} is out of range: the set has {total} {what}, use 1..{total}')
        return int(budget)
    # The decimal that the user wrote, not its binary neighbour: 0.07 * 100 is 7.000000000000001 in floats.
    return math.ceil(Fraction(repr(float(budget))) * total)


def check_histograms(histograms) -> np.ndarray:
    """``histograms`` as int64 (N, K); a DistillError unless they are two-dimensional whole numbers >= 0."""
    counts = np.asarray(histograms)
    if counts.ndim != 2 or 0 in counts.shape:
        raise DistillError(f'class histograms have to be of shape (masks, classes), not {counts.shape}')
    if counts.dtype.kind not in 'iuf':
        raise DistillError(f'class histograms have to be integers, not {counts.dtype}')
    if not np.isfinite(counts).all() or (counts != np.rint(counts)).any():
        raise DistillError('class histograms are counts of pixels: they hold a value that is no whole number')
    counts = counts.astype(np.int64, copy=False)
    if counts.min() < 0:
        raise DistillError(f'class histograms are counts of pixels: mask {counts.min(axis=1).argmin()} has a negative '
                           'one')
    return counts


def check_init(init: Optional[Sequence[int]], usable: np.ndarray, budget: int) -> np.ndarray:
    """``init`` as int64 (n,); a DistillError unless n <= budget and they are distinct indices of usable masks."""
    indices = np.asarray([] if init is None else init)
    if indices.ndim != 1 or (indices.size and indices.dtype.kind not in 'iu'):
        raise DistillError('init has to be a list of mask indices')
    indices = indices.astype(np.int64)
    if len(indices) > budget:
        raise DistillError(f'init has {len(indices)} masks, but they count towards the budget of {budget}')
    outside = indices[(indices < 0) | (indices >= len(usable))]
    if len(outside):
        raise DistillError(f'init names mask {outside[0]}: the set has masks 0..{len(usable) - 1}')
    if not usable[indices].all():
        raise DistillError(f'init names mask {indices[~usable[indices]][0]}, which has no labelled pixel')
    if len(np.unique(indices)) != len(indices):
        raise DistillError('init names a mask twice')
    return indices


def class_fractions(counts: np.ndarray, min_area: int = 1, min_fraction: float = 0.0) -> csr_array:
    """Share float64 (N, K) of each class in the labelled pixels of its mask, by ``counts`` int64 (N, K).

    A class with fewer than ``min_area`` pixels, or less than ``min_fraction`` of them, has 0. Column indices ascend in
    each row.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return csr_array(np.where((counts >= min_area) & (shares >= min_fraction), shares, 0))


def split_by_class(fractions: csr_array) -> Tuple[np.ndarray, ...]:
    """For each class, the masks that show it: the class with most of it first, then the lowest index."""
    by_class = fractions.tocsc()
    spans = zip(by_class.indptr[:-1], by_class.indptr[1:])
    return tuple(by_class.indices[a:b][np.argsort(-by_class.data[a:b], kind='stable')] for a, b in spans)
