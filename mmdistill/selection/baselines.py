"""Baseline selectors: random, weighted by class frequency, k-center, uniform over the classes."""
from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.extmath import row_norms

from .base import TIE, BaseSelector, PresenceSelector, Stochastic, class_fractions, split_by_class


@dataclass(eq=False, repr=False)
class RandomSelector(Stochastic, BaseSelector):
    """Selects masks uniformly at random, without replacement.

    Args:
        budget, init: See :class:`~mmdistill.selection.BaseSelector`.
        random_state: Seed, or a numpy RandomState.

    Example:
        >>> RandomSelector(budget=2).fit([[9, 1], [8, 2], [0, 0]]).selected_.shape  # 3 masks, 2 classes
        (2,)
    """

    def _select(self, counts, usable, budget, init):
        others = np.setdiff1d(np.flatnonzero(usable), init)
        drawn = check_random_state(self.random_state).choice(others, budget - len(init), replace=False)
        return np.concatenate((init, drawn))


@dataclass(eq=False, repr=False)
class KCenterSelector(Stochastic, BaseSelector):
    """Greedy k-center (Gonzalez 1985) on class histograms: selects the mask farthest from all selected ones.

    The distance is Euclidean, between the class shares of the masks' labelled pixels. Without ``init``, the first mask
    is random. Ties are broken by the lowest index.

    Attributes:
        radius_: Largest distance from a mask to the nearest selected one, 0..sqrt(2).

    Example:
        >>> KCenterSelector(budget=2, init=[0]).fit([[9, 1], [8, 2], [0, 5]]).selected_
        array([0, 2])
    """

    def _select(self, counts, usable, budget, init):
        first = init if len(init) else [check_random_state(self.random_state).choice(np.flatnonzero(usable))]
        selected, self.radius_ = farthest_first(class_fractions(counts), usable, first, budget)
        return selected


@dataclass(eq=False, repr=False)
class FrequencyWeightedSelector(Stochastic, PresenceSelector):
    """Draws masks without replacement, with higher probability for rarer classes.

    The weight of a mask is the mean of 1 / f_c over its classes c, where f_c is the share of masks that contain c.

    Example:
        >>> FrequencyWeightedSelector(budget=2).fit([[9, 1], [8, 2], [4, 0]]).selected_.shape
        (2,)
    """

    def _select(self, counts, usable, budget, init):
        rng = check_random_state(self.random_state)
        shown = self._fractions(counts)
        shown.data = np.ones_like(shown.data)
        frequency = shown.sum(axis=0) / len(counts)
        rarity = shown @ (1 / np.where(frequency > 0, frequency, 1))
        classes = shown.sum(axis=1)
        # A mask without a present class has weight 1, like a mask whose classes are in all masks.
        weights = np.divide(rarity, classes, out=np.ones(len(counts)), where=classes > 0)
        weights[~usable] = weights[init] = 0
        total = weights.sum()
        drawn = rng.choice(len(counts), budget - len(init), replace=False, p=weights / total) if total else []
        return np.concatenate((init, drawn))


@dataclass(eq=False, repr=False)
class UniformPerClassSelector(Stochastic, PresenceSelector):
    """Cycles through the classes, in a new random order in each round, and selects a random mask with each class.

    A class is skipped once all its masks are selected. If no class is left, random masks fill the budget.

    Example:
        >>> sorted(UniformPerClassSelector(budget=2).fit([[9, 0], [0, 2]]).selected_.tolist())
        [0, 1]
    """

    def _select(self, counts, usable, budget, init):
        rng = check_random_state(self.random_state)
        free = usable.copy()
        free[init] = False
        selected, turn = list(init), []
        queues = [iter(rng.permutation(masks)) for masks in split_by_class(self._fractions(counts))]
        open_classes = set(range(len(queues)))
        while len(selected) < budget and open_classes:
            if not turn:
                turn = list(rng.permutation(sorted(open_classes)))
            c = int(turn.pop())
            mask = next((m for m in queues[c] if free[m]), None)
            if mask is None:
                open_classes.discard(c)
                continue
            selected.append(mask)
            free[mask] = False
        return selected + list(rng.permutation(np.flatnonzero(free))[:budget - len(selected)])


def farthest_first(vectors, usable: np.ndarray, selected: Sequence[int], budget: int) -> Tuple[List[int], float]:
    """Farthest-first traversal (Gonzalez 1985): the next centre is the sample farthest from all centres.

    The radius is at most twice the optimal one. Ties are broken by the lowest index.

    Args:
        vectors: (N, D), an array or a csr_array.
        usable: bool (N,), samples that may be selected and that the radius takes into account.
        selected: The first centres, at least one, distinct and usable.
        budget: Number of centres, ``len(selected)``..``usable.sum()``.

    Returns:
        The centres in order of selection, and the largest distance of a usable sample to its nearest centre.
    """
    sparse = issparse(vectors)
    norms = vectors.multiply(vectors).sum(axis=1) if sparse else row_norms(vectors, squared=True)
    nearest = np.where(usable, np.inf, -np.inf)
    selected, done, tolerance = list(selected), 0, None
    while True:
        for index in selected[done:]:
            centre = vectors[[index]].toarray()[0] if sparse else vectors[index]
            nearest = np.minimum(nearest, np.maximum(norms - 2 * (vectors @ centre) + norms[index], 0))
            nearest[index] = -np.inf
        done, largest = len(selected), nearest.max()
        if done == budget:
            return selected, float(np.sqrt(max(largest, 0)))
        tolerance = TIE * largest if tolerance is None else tolerance
        selected.append(int(np.argmax(nearest >= largest - tolerance)))
