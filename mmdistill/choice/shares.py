"""DDOQ: an image weighs what it stands for."""
from typing import Literal

import numpy as np

from ..errors import DistillError
from ..settings import validated


class ClusterShares:
    r"""Weighs each image by the share of the class's real images for which it stands.

    DDOQ (ICLR 2026): a distilled set of a class is a quantisation of its distribution, points with masses. Students
    minimise :math:`\sum_k w_k \ell_k / \sum_k w_k` with the masses :math:`w_k` of the clusters.

    With :math:`m_i` real images in the cluster of image i, shared among the images of one cluster,

    .. math:: w_i = n\, m_i / \sum_j m_j

    for the n images of the class, so that the mean is 1 and every class counts as without weights.

    Args:
        by: ``'prototype'``, as in the paper with D4M: the cluster of the latent that the image started from.
            ``'nearest'``, which is ours and fits every method: the real images whose latents are nearest to its own.
    """
    annotation = 'classes'

    @validated
    def __init__(self, by: Literal['prototype', 'nearest'] = 'prototype') -> None:
        self.by = by

    def __call__(self, clusters: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float64 (n,) weights of a class's images, by the cluster of each, (n,), and the real images in each cluster,
        (K,); 1 for all where none of these clusters has one."""
        clusters, counts = np.asarray(clusters), np.asarray(counts, np.float64)
        masses = counts[clusters] / np.bincount(clusters)[clusters]
        total = masses.sum()
        return len(masses) * masses / total if total else np.ones(len(masses))


def count_nearest(real: np.ndarray, images: np.ndarray) -> np.ndarray:
    """int64 (n,): how many of the latents ``real`` (B, ...) are nearest to each of ``images`` (n, ...), by Euclidean
    distance; the first of equally near ones counts."""
    real, images = (np.asarray(latents, np.float64).reshape(len(latents), -1) for latents in (real, images))
    if not np.isfinite(images).all():
        raise DistillError('latents of images are not finite: encode in float32 or bfloat16')
    distances = (images ** 2).sum(1) - 2 * real @ images.T  # but for what is the same for all images
    return np.bincount(distances.argmin(1), minlength=len(images))
