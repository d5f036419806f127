"""Checks of features and labels."""
from typing import Optional, Tuple

import numpy as np

from ..errors import DistillError


def check_features(features, name: str, least: int = 1) -> np.ndarray:
    """``features`` as a float array (N, D); integers become float64, float16 becomes float32.

    Args:
        features: (N, D).
        name: Name of the set in messages.
        least: Minimum number of samples.

    Raises:
        DistillError: The features are not two-dimensional, not numbers, not finite, or too few.
    """
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] == 0:
        raise DistillError(f'{name} features have to be of shape (samples, dimensions), not {features.shape}')
    if features.dtype.kind not in 'fiu':
        raise DistillError(f'{name} features have to be numbers, not {features.dtype}')
    if len(features) < least:
        raise DistillError(f'the {name} set has {len(features)} samples, but at least {least} are needed: add some')
    if features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float32 if features.dtype == np.float16 else np.float64)
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise DistillError(f'{name} features: sample {finite.argmin()} has a value that is not finite: check its '
                           'image and the encoder')
    return features


def check_labels(labels, size: int, name: str, classes: Optional[int] = None) -> np.ndarray:
    """``labels`` as int64 (``size``,).

    Args:
        labels: Class ids, integers.
        size: Number of samples.
        name: Name of the labels in messages.
        classes: Number of classes K; the ids must be in 0..K-1. None: any integers.

    Raises:
        DistillError: The labels have another shape or type, or an id is out of range.
    """
    labels = np.asarray(labels)
    if labels.shape != (size, ) or labels.dtype.kind not in 'iu':
        raise DistillError(f'{name} labels have to be {size} whole numbers, one per sample, not {labels.dtype} of '
                           f'shape {labels.shape}')
    unknown = [] if classes is None else labels[(labels < 0) | (labels >= classes)]
    if len(unknown):
        raise DistillError(f'{name} labels contain {unknown[0]}, which is not one of the {classes} classes')
    return labels.astype(np.int64)


def check_pair(real, distilled, least: int = 1) -> Tuple[np.ndarray, np.ndarray]:
    """Check the features of both sets, and shift both in float64 so that the real mean is 0.

    A common shift does not change the metrics, and scikit-learn's squared distances stay precise for a large mean.

    Args:
        real, distilled: (N, D) and (M, D).
        least: Minimum number of samples in each.

    Raises:
        DistillError: See :func:`check_features`; or the dimensions differ.
    """
    real, distilled = check_features(real, 'real', least), check_features(distilled, 'distilled', least)
    if real.shape[1] != distilled.shape[1]:
        raise DistillError(f'real features have {real.shape[1]} dimensions, distilled ones {distilled.shape[1]}: '
                           'encode both with one encoder at one image size')
    mean = real.mean(axis=0, dtype=np.float64)
    return real - mean, distilled - mean
