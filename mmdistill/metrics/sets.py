"""All metrics of a distilled set with respect to the real set, overall and per class, and its class balance."""
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from scipy.spatial.distance import jensenshannon

from ..errors import DistillError, named
from .checks import check_labels, check_pair
from .coverage import coverage_density, diversity
from .transport import frechet_distance, transport_distance

Row = Dict[str, Any]


def set_metrics(real, distilled, real_labels: Optional[Sequence[int]] = None,
                distilled_labels: Optional[Sequence[int]] = None, classes: Sequence[str] = (), *,
                k: int = 5) -> List[Row]:
    """All metrics of the features: one row for the whole sets and, with labels, one row per class.

    Args:
        real, distilled: (N, D) and (M, D), features of the two sets from the same encoder.
        real_labels, distilled_labels: (N,) and (M,), class ids, for both sets or neither. Without labels, as for
            segmentation, there is only the first row.
        classes: Names of the classes, in the order of the ids.
        k: See :func:`~mmdistill.metrics.coverage_density`; every class needs more than k real samples.

    Returns:
        Rows of JSON values, the whole set first. Each row has ``class`` (None for the whole set), ``real_samples``,
        ``distilled_samples``, ``transport``, ``transport_method``, ``coverage``, ``density``, ``diversity``,
        ``real_diversity`` and ``frechet``. With labels, rows of classes also have ``real_share`` and
        ``distilled_share``, and the row of the whole set ``jensen_shannon`` and ``total_variation``. ``diversity`` and
        ``frechet`` are None for a single distilled sample.

    Raises:
        DistillError: Features or labels are invalid, or a class has no distilled or at most k real samples.

    Example:
        >>> random = np.random.default_rng(0)
        >>> real, distilled = random.normal(size=(200, 8)), random.normal(size=(20, 8))
        >>> row, = set_metrics(real, distilled)
        >>> row['real_samples'], row['distilled_samples'], row['transport_method']
        (200, 20, 'exact')
    """
    real, distilled = check_pair(real, distilled)
    rows: List[Row] = [{'class': None, **_metrics(real, distilled, k)}]
    if real_labels is None and distilled_labels is None:
        return rows
    if real_labels is None or distilled_labels is None:
        raise DistillError('give the labels of both sets, real and distilled, or of neither')
    if len(set(classes)) < len(classes):
        raise DistillError('two classes have the same name')
    ids = check_labels(real_labels, len(real), 'the real', len(classes))
    ids_distilled = check_labels(distilled_labels, len(distilled), 'the distilled', len(classes))
    counts, counts_distilled = (np.bincount(labels, minlength=len(classes)) for labels in (ids, ids_distilled))
    balance = class_balance(counts, counts_distilled, classes)
    rows[0].update({key: balance[key] for key in ('jensen_shannon', 'total_variation')})
    for index, name in enumerate(classes):
        with named(f'class {name!r}'):
            row = _metrics(real[ids == index], distilled[ids_distilled == index], k)
        rows.append({'class': name, **row, 'real_share': balance['real'][name],
                     'distilled_share': balance['distilled'][name]})
    return rows


def class_balance(real_counts, distilled_counts, classes: Sequence[str]) -> Dict[str, Any]:
    """Class shares of two sets, and the distances between them.

    Args:
        real_counts, distilled_counts: (K,), number of images or pixels of each class.
        classes: K names.

    Returns:
        dict: ``real`` and ``distilled``, each {name: share}, shares 0..1; ``jensen_shannon``, the Jensen-Shannon
        distance (base 2), and ``total_variation``, half the sum of absolute differences, both from 0 (equal) to 1 (no
        class in common); ``missing``, names of the classes that are only in the real set.

    Raises:
        DistillError: The counts have another shape than the names, are negative or not finite, or a set is empty.

    Example:
        >>> balance = class_balance([50, 50, 100], [3, 1, 0], ['cat', 'dog', 'fish'])
        >>> balance['distilled'], balance['total_variation'], balance['missing']
        ({'cat': 0.75, 'dog': 0.25, 'fish': 0.0}, 0.5, ['fish'])
    """
    shares = []
    for name, counts in (('real', real_counts), ('distilled', distilled_counts)):
        counts = np.asarray(counts, np.float64)
        if counts.shape != (len(classes), ) or not (np.isfinite(counts) & (counts >= 0)).all():
            raise DistillError(f'the {name} counts have to be {len(classes)} finite numbers, at least 0')
        if not counts.any():
            raise DistillError(f'all class counts of the {name} set are 0')
        shares.append(counts / counts.sum())
    real, distilled = shares
    return dict(
        real=dict(zip(classes, real.tolist())), distilled=dict(zip(classes, distilled.tolist())),
        jensen_shannon=float(np.nan_to_num(jensenshannon(real, distilled, base=2))),
        total_variation=float(np.abs(real - distilled).sum() / 2),
        missing=[name for name, r, d in zip(classes, real, distilled) if r > 0 and d == 0])


def _metrics(real: np.ndarray, distilled: np.ndarray, k: int) -> Row:
    transport = transport_distance(real, distilled)
    several = len(distilled) > 1
    return dict(
        real_samples=len(real), distilled_samples=len(distilled), transport=transport.distance,
        transport_method=transport.method, **coverage_density(real, distilled, k),
        diversity=diversity(distilled) if several else None, real_diversity=diversity(real, 'real'),
        frechet=frechet_distance(real, distilled) if several else None)
