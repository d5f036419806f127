"""D3S2's class-balanced mask selection (arXiv 2605.25022, stage 1).

The paper says "a greedy strategy that prioritises under-represented classes". Both selectors are reconstructions,
since the exact algorithm was not available.
"""
from dataclasses import dataclass
from typing import Annotated, Literal, Union

import numpy as np
from scipy.sparse import csr_array

from ..errors import DistillError
from ..settings import PositiveInt, Range
from .base import TIE, PresenceSelector, split_by_class
from .neighbours import decorrelation_gap

_SLACK = 1e-9  # tolerance for rounding when an earlier gain is used as an upper bound of the current one
_POOL = 64  # candidates that are re-evaluated in each round


@dataclass(eq=False, repr=False, kw_only=True)
class ClassBalancedGreedy(PresenceSelector):
    r"""Greedy maximisation of a concave coverage of the classes.

    .. math:: F(S) = \sum_c \log\Big(1 + \frac{1}{\tau} \sum_{i \in S} \tilde h_i[c]\Big) + \beta \sum_{i \in S} n_i

    where h̃_i[c] is the share of class c in the labelled pixels of mask i, 0 if the class is not present, and n_i is the
    number of classes that are present. The gain of a mask is Σ_c log(1 + h̃_i[c] / (τ + x_c)) + β n_i, where x_c is the
    sum of h̃[c] over the selected masks. A pixel of class c has the weight 1 / (τ + x_c), so rare classes dominate until
    they are covered; β > 0 prefers dense scenes, which show many classes at once. F is monotone and submodular, so
    gains never increase and earlier gains are upper bounds. Lazy evaluation (Minoux 1978; CELF, Leskovec et al. 2007)
    therefore gives exactly the plain greedy selection, whose F is at least (1 - 1/e) of the optimum (Nemhauser et al.
    1978). Ties are broken by the lowest index.

    Consecutive frames of a video are near-duplicates. A mask less than ``min_gap`` positions from a selected mask is
    therefore not selected. The guarantee above holds only for ``min_gap=1``, the plain greedy selection.

    The masks of ``init`` contribute to the coverage and exclude their neighbours.

    Args:
        tau: τ > 0, in units of a whole mask: the coverage at which a class starts to count as covered. With large
            values, F counts pixels; with small values, it balances the logarithms of the classes' coverage. 'auto' is
            the mean share per mask of the median class (among the present classes), so one mask starts to cover more
            frequent classes, and rarer classes need several masks. Smaller values hardly change the selection.
        density: β >= 0, the gain for each class in a mask; 0 drops the second term. This term is our choice. The gains
            of the first term decrease as the selection grows, so with 0.2 the first masks cover the classes, and later
            masks are the densest scenes.
        min_gap: Smallest distance of two selected masks, in positions in the dataset. 'auto' measures it
            (:func:`~mmdistill.selection.neighbours.decorrelation_gap`), up to the largest value with which the budget
            can always be reached; the result is 1 for datasets that are not videos. This restriction is our choice.

    Attributes:
        gains_: float64 (budget,), increase of F by each selected mask.
        objective_: F of the selection.
        tau_, min_gap_: The values that were used.

    Example:
        >>> counts = [[900, 100, 0], [950, 50, 0], [600, 300, 100], [1000, 0, 0]]  # pixels of 3 classes in 4 masks
        >>> ClassBalancedGreedy(budget=2).fit(counts).selected_
        array([2, 0])
    """
    tau: Union[Annotated[float, Range(0, above=True, below=True)], Literal['auto']] = 'auto'
    density: Annotated[float, Range(0, below=True)] = 0.0
    min_gap: Union[PositiveInt, Literal['auto']] = 'auto'

    def _select(self, counts, usable, budget, init):
        fractions = self._fractions(counts)
        dense = self.density * np.diff(fractions.indptr)
        self.tau_ = _resolve_tau(self.tau, fractions)
        self.min_gap_ = self.min_gap
        if self.min_gap == 'auto':  # each selected mask excludes at most 2 min_gap - 1
            self.min_gap_ = decorrelation_gap(fractions, (int(usable.sum()) // budget + 1) // 2)
        coverage = np.zeros(counts.shape[1])
        bounds = np.where(usable, np.inf, -np.inf)
        selected, gains = [], []

        def gains_of(indices: np.ndarray) -> np.ndarray:
            return coverage_gains(fractions[indices], coverage, self.tau_) + dense[indices]

        def pick(index: int, gain: float) -> None:
            selected.append(index)
            gains.append(gain)
            coverage[:] += fractions[[index]].sum(axis=0)
            bounds[max(index - self.min_gap_ + 1, 0):index + self.min_gap_] = -np.inf

        for index in init:
            pick(index, gains_of([index])[0])
        free = np.flatnonzero(bounds > 0)
        bounds[free] = gains_of(free)
        pool = _largest(free, bounds)
        while len(selected) < budget:
            if not len(pool):
                raise DistillError(f'min_gap={self.min_gap} leaves no further mask after {len(selected)} of {budget}: '
                                   'lower it or the budget')
            # The pool's best gain is a lower bound; only masks whose upper bound reaches it can be selected.
            bounds[pool] = gains_of(pool)
            rivals = np.flatnonzero(bounds >= bounds[pool].max() * (1 - _SLACK))
            bounds[rivals] = fresh = gains_of(rivals)
            best = np.argmax(fresh >= fresh.max() * (1 - TIE))
            pick(rivals[best], fresh[best])
            known = np.union1d(pool, rivals)
            pool = _largest(known[bounds[known] >= 0], bounds)
            if not len(pool):
                pool = _largest(np.flatnonzero(bounds >= 0), bounds)
        self.gains_ = np.asarray(gains)
        self.objective_ = float(np.log1p(coverage / self.tau_).sum() + dense[selected].sum())
        return selected


class RarestClassFirst(PresenceSelector):
    """A literal reading of the paper: find the least represented class, then select the mask with most of it.

    Each step finds the class with the smallest sum of shares h̃ (see :class:`ClassBalancedGreedy`) over the selected
    masks, among the classes that are present in an unselected mask, and selects the mask with the largest share of this
    class. Ties are broken by the lowest class id and the lowest index. If no class is left, the remaining masks are
    selected in order. The masks of ``init`` contribute to the sums.

    Example:
        >>> counts = [[900, 100, 0], [950, 50, 0], [600, 300, 100], [1000, 0, 0]]  # pixels of 3 classes in 4 masks
        >>> RarestClassFirst(budget=2).fit(counts).selected_.shape
        (2,)
    """

    def _select(self, counts, usable, budget, init):
        fractions = self._fractions(counts)
        queues = [iter(masks) for masks in split_by_class(fractions)]
        head = [next(queue, None) for queue in queues]
        free, amount, selected = usable.copy(), np.zeros(counts.shape[1]), []

        def pick(index: int) -> None:
            selected.append(index)
            free[index] = False
            amount[:] += fractions[[index]].sum(axis=0)

        for index in init:
            pick(index)
        while len(selected) < budget:
            for c, queue in enumerate(queues):
                while head[c] is not None and not free[head[c]]:
                    head[c] = next(queue, None)
            has_mask = np.array([mask is not None for mask in head])
            if has_mask.any():
                pick(head[np.argmin(np.where(has_mask, amount, np.inf))])
            else:
                pick(np.argmax(free))
        return selected


def coverage_gains(fractions: csr_array, coverage: np.ndarray, tau: float) -> np.ndarray:
    """Increase of F by each mask, Σ_c log(1 + h̃[c] / (τ + x_c)).

    Args:
        fractions: h̃ (N, K), sparse.
        coverage: x (K,).
        tau: τ > 0.

    Returns:
        float64 (N,).
    """
    terms = np.log1p(fractions.data / (tau + coverage)[fractions.indices])
    return csr_array((terms, fractions.indices, fractions.indptr), shape=fractions.shape).sum(axis=1)


def _largest(indices: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The ``_POOL`` indices with the largest bounds."""
    return indices if len(indices) <= _POOL else indices[np.argpartition(-bounds[indices], _POOL)[:_POOL]]


def _resolve_tau(tau: Union[float, str], fractions: csr_array) -> float:
    if tau != 'auto':
        return float(tau)
    per_mask = fractions.sum(axis=0) / fractions.shape[0]
    return float(np.median(per_mask[per_mask > 0])) if per_mask.any() else 1.0
