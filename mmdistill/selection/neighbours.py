"""How far apart the masks of a video must be so that they are not nearly the same."""
import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import check_random_state

_PAIRS = 10000  # random pairs whose median distance is the reference


def decorrelation_gap(fractions: csr_array, largest: int) -> int:
    r"""Number of positions after which two masks differ at least half as much as two random ones.

    Consecutive frames of a video have nearly the same mask, and a mask resembles its next neighbours more than the
    others. The distance of two masks is the Hellinger distance of their class shares, and of all pairs with one gap
    between them the median is taken. Where the order of a dataset says nothing about its masks, the result is 1. This
    criterion is ours.

    Args:
        fractions: (N, K), sparse, shares of the classes in each mask. Masks without a class are left out.
        largest: Largest result, at least 1. With this gap or a larger one, no pair is compared.

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
