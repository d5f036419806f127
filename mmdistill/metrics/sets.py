"""All metrics of a distilled set against the real one, overall and per class, and its balance of the classes."""
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from scipy.spatial.distance import jensenshannon

from ..errors import DistillError
from .checks import check_labels, check_pair
from .coverage import coverage_density, diversity
from .transport import frechet_distance, transport_distance

Row = Dict[str, Any]


def set_metrics(real, distilled, real_labels: Optional[Sequence[int]] = None,
                distilled_labels: Optional[Sequence[int]] = None, classes: Optional[Sequence[str]] = None, *,
                k: int = 5, order: int = 2) -> List[Row]:
    """Every metric of the features, one row for the whole sets and, with labels, one a class.

    Args:
        real: (N, D) features of the real set.
        distilled: (M, D) features of the distilled set, by the same encoder.
        real_labels: (N,) class ids; None where an image has many classes (segmentation): only the first row then.
        distilled_labels: (M,) class ids; with ``real_labels`` or not at all.
        classes: Names, in the order of the ids. By default the ids that the real set has, as text.
        k: See :func:`~mmdistill.metrics.coverage_density`; every class needs more than k real samples.
        order: See :func:`~mmdistill.metrics.transport_distance`.

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
    rows: List[Row] = [{'class': None, **_metrics(real, distilled, k, order)}]
    if real_labels is None and distilled_labels is None:
        return rows
    if real_labels is None or distilled_labels is None:
        raise DistillError('give the labels of both sets, real and distilled, or of neither')
    ids, ids_distilled, names = _check_labels((real_labels, distilled_labels), (len(real), len(distilled)), classes)
    counts = [np.bincount(labels, minlength=len(names)) for labels in (ids, ids_distilled)]
    for index, name in enumerate(names):
        for side, count in zip(('real', 'distilled'), counts):
            if count[index] == 0:
                raise DistillError(f'class {name!r} has no {side} sample: add some, or leave the class out of both')
        if counts[0][index] <= k:
            raise DistillError(f'class {name!r} has {counts[0][index]} real samples, coverage with k={k} needs more '
                               f'than {k}: lower k')
    balance = class_balance(counts[0], counts[1], names)
    rows[0].update({key: balance[key] for key in ('jensen_shannon', 'total_variation')})
    return rows + [{
        'class': name, **_metrics(real[ids == index], distilled[ids_distilled == index], k, order),
        'real_share': balance['real'][name], 'distilled_share': balance['distilled'][name]
    } for index, name in enumerate(names)]


def class_balance(real_counts, distilled_counts, classes: Sequence[str]) -> Dict[str, Any]:
    """Shares of the classes in two sets, and how far these lie apart.

    Args:
        real_counts: (K,) how much the real set has of each class: images, or pixels of the masks.
        distilled_counts: (K,) the same of the distilled set.
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
        if counts.shape != (len(classes), ):
            raise DistillError(f'the {name} counts are of shape {counts.shape}, but there are {len(classes)} classes')
        if not np.isfinite(counts).all() or (counts < 0).any():
            raise DistillError(f'the {name} counts hold a value that is negative or not finite')
        if not counts.any():
            raise DistillError(f'the {name} set has nothing of any class')
        shares.append(counts / counts.sum())
    real, distilled = shares
    names = [str(name) for name in classes]
    return dict(
        real=dict(zip(names, real.tolist())), distilled=dict(zip(names, distilled.tolist())),
        jensen_shannon=float(np.nan_to_num(jensenshannon(real, distilled, base=2))),
        total_variation=float(np.abs(real - distilled).sum() / 2),
        missing=[name for name, r, d in zip(names, real, distilled) if r > 0 and d == 0])


def _metrics(real: np.ndarray, distilled: np.ndarray, k: int, order: int) -> Row:
    transport = transport_distance(real, distilled, order)
    several = len(distilled) > 1
    return dict(
        real_samples=len(real), distilled_samples=len(distilled), transport=transport.distance,
        transport_method=transport.method, **coverage_density(real, distilled, k),
        diversity=diversity(distilled) if several else None, real_diversity=diversity(real, 'real'),
        frechet=frechet_distance(real, distilled) if several else None)


def _check_labels(labels: Sequence, sizes: Sequence[int],
                  classes: Optional[Sequence[str]]) -> Tuple[np.ndarray, np.ndarray, List[str]]:
    """Both sets' labels as positions in the list of names, and the names."""
    checked = [check_labels(values, size, f'the {side}')
               for side, values, size in zip(('real', 'distilled'), labels, sizes)]
    ids = np.unique(checked[0]) if classes is None else np.arange(len(classes))
    for side, values in zip(('real', 'distilled'), checked):
        unknown = np.setdiff1d(values, ids)
        if len(unknown):
            known = f'{len(ids)} classes' if classes is not None else 'classes of the real set'
            raise DistillError(f'the {side} labels hold {unknown[0]}, which is none of the {known}')
    names = [str(name) for name in (ids if classes is None else classes)]
    if len(set(names)) < len(names):
        raise DistillError('two classes have the same name')
    return np.searchsorted(ids, checked[0]), np.searchsorted(ids, checked[1]), names
