"""Selections to compare with: random, by class frequency, k-center, uniform over the classes."""
from typing import Optional, Sequence

import numpy as np
from sklearn.utils import check_random_state

from ..settings import NonNegativeInt
from .base import BaseSelector, Budget, MinFraction, PresenceSelector, Seed, class_fractions, split_by_class
from .centers import farthest_first


class RandomSelector(BaseSelector):
    """Masks drawn uniformly, without replacement.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the masks to select.
        random_state: Seed, or a ``numpy.random.RandomState``.
        init: Indices of masks that are chosen already; they count towards the budget.

    Attributes:
        selected_: int64 (budget,), ``init`` first.
    """
    stochastic = True

    def __init__(self, budget: Budget, random_state: Seed = 0, init: Optional[Sequence[int]] = None):
        super().__init__(budget, init)
        self.random_state = random_state

    def _select(self, counts, usable, budget, init):
        rng = check_random_state(self.random_state)
        others = np.setdiff1d(np.flatnonzero(usable), init)
        return np.concatenate((init, rng.choice(others, budget - len(init), replace=False)))


class KCenterSelector(BaseSelector):
    """Greedy k-center (Gonzalez 1985) on class histograms: the mask farthest from all that are selected.

    The distance is Euclidean between the shares of the classes in the masks' labelled pixels. Without ``init`` the
    first mask is random. Equal distances: the lowest index.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the masks to select.
        random_state: Seed of the first mask, or a ``numpy.random.RandomState``.
        init: Indices of masks that are chosen already; they count towards the budget.

    Attributes:
        selected_: int64 (budget,), ``init`` first.
        radius_: The largest distance of a mask to the nearest selected one, 0..sqrt(2).
    """
    stochastic = True

    def __init__(self, budget: Budget, random_state: Seed = 0, init: Optional[Sequence[int]] = None):
        super().__init__(budget, init)
        self.random_state = random_state

    def _select(self, counts, usable, budget, init):
        shares = class_fractions(counts)
        norms = shares.multiply(shares).sum(axis=1)
        first = init if len(init) else [check_random_state(self.random_state).choice(np.flatnonzero(usable))]

        def squared_to(index: int) -> np.ndarray:
            return np.maximum(norms - 2 * (shares @ shares[[index]].toarray()[0]) + norms[index], 0)

        selected, self.radius_ = farthest_first(squared_to, usable, first, budget)
        return selected


class _RandomPresenceSelector(PresenceSelector):
    """A selector by presence that draws random numbers."""
    stochastic = True

    def __init__(self,
                 budget: Budget,
                 min_area: NonNegativeInt = 1,
                 min_fraction: MinFraction = 0.001,
                 random_state: Seed = 0,
                 init: Optional[Sequence[int]] = None):
        super().__init__(budget, min_area, min_fraction, init)
        self.random_state = random_state


class FrequencyWeightedSelector(_RandomPresenceSelector):
    """Masks drawn without replacement, with probability proportional to how rare their classes are.

    A mask's weight is the mean of 1 / f_c over the classes c that it shows, f_c the share of the masks that show c.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the masks to select.
        min_area: Pixels that a class needs to count as present.
        min_fraction: Share of the mask's labelled pixels that a class needs to count as present.
        random_state: Seed, or a ``numpy.random.RandomState``.
        init: Indices of masks that are chosen already; they count towards the budget.

    Attributes:
        selected_: int64 (budget,), ``init`` first.
        too_small_: int64, the classes that have pixels in the set but nowhere enough to count as present.
    """

    def _select(self, counts, usable, budget, init):
        rng = check_random_state(self.random_state)
        shown = self._fractions(counts)
        shown.data = np.ones_like(shown.data)
        frequency = shown.sum(axis=0) / len(counts)
        rarity = shown @ np.divide(1, frequency, out=np.zeros_like(frequency), where=frequency > 0)
        classes = shown.sum(axis=1)
        # A mask that shows no class enough weighs as one whose classes are everywhere.
        weights = np.divide(rarity, classes, out=np.ones(len(counts)), where=classes > 0)
        weights[~usable] = 0
        weights[init] = 0
        total = weights.sum()
        drawn = rng.choice(len(counts), budget - len(init), replace=False, p=weights / total) if total else []
        return np.concatenate((init, drawn))


class UniformPerClassSelector(_RandomPresenceSelector):
    """The classes in turn, in a new random order each round; of each a random mask that shows it.

    A class whose masks are all selected is passed over; when none is left, random masks fill the budget.

    Args:
        budget: Count (int) or ratio (float in (0, 1), rounded up) of the masks to select.
        min_area: Pixels that a class needs to count as present.
        min_fraction: Share of the mask's labelled pixels that a class needs to count as present.
        random_state: Seed, or a ``numpy.random.RandomState``.
        init: Indices of masks that are chosen already; they count towards the budget.

    Attributes:
        selected_: int64 (budget,), ``init`` first.
        too_small_: int64, the classes that have pixels in the set but nowhere enough to count as present.
    """

    def _select(self, counts, usable, budget, init):
        rng = check_random_state(self.random_state)
        free = usable.copy()
        free[init] = False
        selected = list(init)
        queues = [iter(rng.permutation(masks)) for masks in split_by_class(self._fractions(counts))]
        turn = []
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
        rest = rng.permutation(np.flatnonzero(free))[:budget - len(selected)]
        return selected + list(rest)
