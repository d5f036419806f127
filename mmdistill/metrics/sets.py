"""All metrics of a distilled set against the real one, overall and per class, and its balance of the classes."""
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from scipy.spatial.distance import jensenshannon

from ..errors import DistillError
from .checks import check_labels, check_pair
from .coverage import coverage_density, diversity
from .transport import frechet_distance, transport_distance

Row = Dict[str, Any]


def set_metrics(real, distilled, real_labels: Optional[Sequence[int]] = None,
                distilled_labels: Optional[Sequence[int]] = None, classes: Sequence[str] = (), *,
                k: int = 5) -> List[Row]:
    """Every metric of the features, one row for the whole sets and, with labels, one per class.

    Args:
        real, distilled: (N, D) and (M, D) features of the two sets, by the same encoder.
        real_labels, distilled_labels: (N,) and (M,) class ids, for both sets or neither; None where an image has many
            classes (segmentation): only the first row then.
        classes: Names of the classes of the labels, in the order of the ids.
        k: See :func:`~mmdistill.metrics.coverage_density`; every class needs more than k real samples.

    Returns:
        JSON values, the whole set first. Each row has ``class`` (None for the whole set), ``real_samples``,
        ``distilled_samples``, ``transport`` and ``transport_method``, ``coverage``, ``density``, ``diversity`` and
        ``real_diversity``, and ``frechet``; with labels also ``real_share`` and ``distilled_share`` (a class's) or
        ``jensen_shannon`` and ``total_variation`` (the whole set's). ``diversity`` and ``frechet`` are None for one
        distilled sample.

    Raises:
        DistillError: Bad features, labels that do not fit, a class without a real or a distilled sample, or one with
            no more than k real ones.
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
        try:
            row = _metrics(real[ids == index], distilled[ids_distilled == index], k)
        except DistillError as error:
            raise DistillError(f'class {name!r}: {error}') from None
        rows.append({'class': name, **row, 'real_share': balance['real'][name],
                     'distilled_share': balance['distilled'][name]})
    return rows


def class_balance(real_counts, distilled_counts, classes: Sequence[str]) -> Dict[str, Any]:
    """Shares of the classes in two sets, and how far these lie apart.

    Args:
        real_counts, distilled_counts: (K,) how much each set has of each class: images, or pixels of the masks.
        classes: K names.

    Returns:
        dict: ``real`` and ``distilled``, each {name: share}, shares 0..1; ``jensen_shannon``, the Jensen-Shannon
        distance (base 2), and ``total_variation``, half the sum of the differences: both 0 (equal) to 1 (no class in
        common); ``missing``, the names of the classes that the real set has and the distilled one lacks.

    Raises:
        DistillError: Counts of another shape than the names, negative or not finite, or a set without anything.
    """
    shares = []
    for name, counts in (('real', real_counts), ('distilled', distilled_counts)):
        counts = np.asarray(counts, np.float64)
        if counts.shape != (len(classes), ) or not (np.isfinite(counts) & (counts >= 0)).all():
            raise DistillError(f'the {name} counts have to be {len(classes)} finite numbers, at least 0')
        if not counts.any():
            raise DistillError(f'the {name} set has nothing of any class')
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
