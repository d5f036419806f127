"""D3S2's class-balanced mask selection (arXiv 2605.25022, stage 1).

The paper says "a greedy strategy that prioritises under-represented classes". Both selectors are a reconstruction;
the paper's exact form was not available.
"""
from dataclasses import dataclass
from typing import Annotated, Literal, Union

import numpy as np
from scipy.sparse import csr_array

from ..settings import Range
from .base import TIE, PresenceSelector, split_by_class

_SLACK = 1e-9  # a gain that was computed earlier bounds the present one but for rounding
_POOL = 64


@dataclass(eq=False, repr=False, kw_only=True)
class ClassBalancedGreedy(PresenceSelector):
    r"""Greedy maximisation of a concave coverage of the classes.

    .. math:: F(S) = \sum_c \log\Big(1 + \frac{1}{\tau} \sum_{i \in S} \tilde h_i[c]\Big)

    where h̃_i[c] is the share of class c in the labelled pixels of mask i, 0 below the minimum presence. A mask's gain
    is Σ_c log(1 + h̃_i[c] / (τ + x_c)), x_c what the selected masks hold of c already: a pixel of a class weighs
    1 / (τ + x_c), so that rare classes weigh most until they are covered. F is monotone and submodular: a mask's gain
    can only fall, an earlier gain is an upper bound, and lazy evaluation (Minoux 1978; CELF, Leskovec et al. 2007)
    gives exactly the plain greedy selection, with F at least (1 - 1/e) of the best possible (Nemhauser et al. 1978).
    Equal gains: the lowest index wins.

    The masks of ``init`` count towards the coverage, too.

    Args:
        tau: τ > 0, in masks' worth of pixels: the coverage above which a class begins to count as covered. Large
            values count pixels, small ones balance the classes' logarithms. 'auto' is what one average mask holds of
            the median class (of those that are present), so that one mask begins to cover the frequent half of the
            classes and the rare half needs more. The selection hardly changes for τ down to 0 from there.

    Attributes:
        gains_: float64 (budget,), by how much each raised F.
        objective_: F of the selection.
        tau_: The τ that was used.
    """
    tau: Union[Annotated[float, Range(0, above=True, below=True)], Literal['auto']] = 'auto'

    def _select(self, counts, usable, budget, init):
        fractions = self._fractions(counts)
        self.tau_ = _resolve_tau(self.tau, fractions)
        coverage = np.zeros(counts.shape[1])
        bounds = np.where(usable, np.inf, -np.inf)
        selected, gains = [], []

        def pick(index: int, gain: float) -> None:
            selected.append(index)
            gains.append(gain)
            coverage[:] += fractions[[index]].sum(axis=0)
            bounds[index] = -np.inf

        for index in init:
            pick(index, coverage_gains(fractions[[index]], coverage, self.tau_)[0])
        free = np.flatnonzero(bounds > 0)
        bounds[free] = coverage_gains(fractions[free], coverage, self.tau_)
        pool = _largest(free, bounds)
        while len(selected) < budget:
            # The best that are known give a gain to beat; only masks whose bound reaches it can win this round.
            bounds[pool] = coverage_gains(fractions[pool], coverage, self.tau_)
            rivals = np.flatnonzero(bounds >= bounds[pool].max() * (1 - _SLACK))
            bounds[rivals] = fresh = coverage_gains(fractions[rivals], coverage, self.tau_)
            best = np.argmax(fresh >= fresh.max() * (1 - TIE))
            pick(rivals[best], fresh[best])
            known = np.union1d(pool, rivals)
            pool = _largest(known[bounds[known] >= 0], bounds)
            if not len(pool):
                pool = _largest(np.flatnonzero(bounds >= 0), bounds)
        self.gains_ = np.asarray(gains)
        self.objective_ = float(np.log1p(coverage / self.tau_).sum())
        return selected


class RarestClassFirst(PresenceSelector):
    """The literal reading: the class with the least so far, then the mask with most of it.

    At each step the class of which the selected masks hold the least (sum of shares h̃, see
    :class:`ClassBalancedGreedy`) among the classes that are present in a mask not yet selected, and then the mask with
    the largest share of it. Equal classes: the lowest id; equal masks: the lowest index. When no class is left, the
    remaining masks are taken in their order. The masks of ``init`` count towards what a class has.
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
    """Class fractions h̃ (N, K), coverage x (K,) → float64 (N,), how much each mask raises F: Σ log(1 + h̃ / (τ + x))."""
    terms = np.log1p(fractions.data / (tau + coverage)[fractions.indices])
    return csr_array((terms, fractions.indices, fractions.indptr), shape=fractions.shape).sum(axis=1)


def _largest(indices: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The ``_POOL`` of ``indices`` with the largest bounds."""
    return indices if len(indices) <= _POOL else indices[np.argpartition(-bounds[indices], _POOL)[:_POOL]]


def _resolve_tau(tau: Union[float, str], fractions: csr_array) -> float:
    if tau != 'auto':
        return float(tau)
    per_mask = fractions.sum(axis=0) / fractions.shape[0]
    return float(np.median(per_mask[per_mask > 0])) if per_mask.any() else 1.0
