"""Measures how far apart two frames of a video must be so that their masks differ."""
import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import check_random_state

_PAIRS = 10000  # random pairs whose median distance is the reference


def decorrelation_gap(fractions: csr_array, largest: int) -> int:
    r"""Number of positions after which two masks differ at least half as much as two random ones.

    Consecutive frames of a video have nearly the same mask. The distance of two masks is the Hellinger distance of
    their class shares. The result is the smallest gap, in positions, for which the median distance of all pairs with
    this gap is at least half the median distance of random pairs. It is 1 if the masks do not depend on their position
    in the dataset. This criterion is our choice.

    Args:
        fractions: (N, K), sparse, shares of the classes in each mask. Masks without a class are left out.
        largest: Largest result, at least 1. Pairs with this gap are not compared.

    Example:
        >>> days = np.repeat(np.eye(5), 6, axis=0)  # five scenes of six frames
        >>> decorrelation_gap(csr_array(days), largest=9)
        4
    """
    roots, totals = fractions.sqrt(), fractions.sum(axis=1)
    usable = totals > 0

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        keep = usable[first] & usable[second] & (first != second)
        first, second = first[keep], second[keep]
        if not len(first):
            return 0.0
        common = roots[first].multiply(roots[second]).sum(axis=1)
        return float(np.median(np.sqrt(np.maximum(totals[first] + totals[second] - 2 * common, 0))))

    masks = np.arange(len(totals))
    half = distance(*check_random_state(0).randint(len(masks), size=(2, _PAIRS))) / 2
    gap = 1
    while gap < largest and distance(masks[:-gap], masks[gap:]) < half:
        gap += 1
    return gap
