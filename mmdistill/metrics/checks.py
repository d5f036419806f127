"""Checks of the features that the metrics share."""
from typing import Optional, Tuple

import numpy as np

from ..errors import DistillError


def check_features(features, name: str, least: int = 1) -> np.ndarray:
    """``features`` as an array (N, D) of floats; integers become float64, float16 float32.

    A DistillError, which calls the set ``name``, where they are not two-dimensional, no numbers, not finite, or of
    fewer than ``least`` samples.
    """
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] == 0:
        raise DistillError(f'{name} features have to be of shape (samples, dimensions), not {features.shape}')
    if features.dtype.kind not in 'fiu':
        raise DistillError(f'{name} features have to be numbers, not {features.dtype}')
    if len(features) < least:
        raise DistillError(f'the {name} set has {len(features)} samples, at least {least} are needed here: add some')
    if features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float32 if features.dtype == np.float16 else np.float64)
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise DistillError(f'{name} features: sample {finite.argmin()} has a value that is not finite: look at its '
                           'image and at the encoder')
    return features


def check_labels(labels, size: int, name: str, classes: Optional[int] = None) -> np.ndarray:
    """``labels`` as an int64 array; a DistillError, which calls them ``name``, unless they are ``size`` whole numbers.

    With a number of ``classes`` these have to be ids from 0 to below it.
    """
    labels = np.asarray(labels)
    if labels.shape != (size, ) or labels.dtype.kind not in 'iu':
        raise DistillError(f'{name} labels have to be {size} whole numbers, one a sample, not {labels.dtype} of shape '
                           f'{labels.shape}')
    unknown = [] if classes is None else labels[(labels < 0) | (labels >= classes)]
    if len(unknown):
        raise DistillError(f'{name} labels hold {unknown[0]}, which is none of the {classes} classes')
    return labels.astype(np.int64)


def check_pair(real, distilled, least: int = 1) -> Tuple[np.ndarray, np.ndarray]:
    """Features of both sets, checked, in float64 and moved together so that the real mean is 0.

    All metrics are unchanged by a shift, and scikit-learn's squared distances lose no digits to a large mean.
    """
    real, distilled = check_features(real, 'real', least), check_features(distilled, 'distilled', least)
    if real.shape[1] != distilled.shape[1]:
        raise DistillError(f'real features have {real.shape[1]} dimensions, distilled ones {distilled.shape[1]}: '
                           'encode both with one encoder at one image size')
    mean = real.mean(axis=0, dtype=np.float64)
    return real - mean, distilled - mean
