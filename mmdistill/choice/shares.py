"""DDOQ: weights images by the number of real images that they represent."""
from typing import Literal

import numpy as np

from ..errors import DistillError
from ..settings import validated


class ClusterShares:
    r"""Weights images by the number of real images in their cluster.

    In DDOQ (ICLR 2026), the distilled set of a class quantises its distribution: it is a set of points with masses.
    Students minimise :math:`\sum_k w_k \ell_k / \sum_k w_k` with the masses :math:`w_k` of the clusters.

    Let :math:`m_i` be the number of real images in the cluster of image i, divided by the number of images in the same
    cluster. For the n images of a class, the weights are

    .. math:: w_i = n\, m_i / \sum_j m_j

    Their mean is 1, so every class has the same influence as without weights.

    Args:
        by: ``'prototype'``, as in the paper with D4M: the cluster of the prototype from which the image started.
            ``'nearest'``, our extension to all methods: the real images with latents nearest to the image's latent.

    Example:
        >>> ClusterShares()(clusters=np.array([0, 1, 1]), counts=np.array([60, 40]))
        array([1.8, 0.6, 0.6])
    """
    annotation = 'classes'

    @validated
    def __init__(self, by: Literal['prototype', 'nearest'] = 'prototype') -> None:
        self.by = by

    def __call__(self, clusters: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Compute the weights for one class.

        Args:
            clusters: (n,), index of the cluster of each image.
            counts: (K,), number of real images in each cluster.

        Returns:
            Weights (n,) float64; 1 for all images if the clusters have no real images.
        """
        clusters, counts = np.asarray(clusters), np.asarray(counts, np.float64)
        masses = counts[clusters] / np.bincount(clusters)[clusters]
        total = masses.sum()
        return len(masses) * masses / total if total else np.ones(len(masses))


def count_nearest(real: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Count the real latents that are nearest to each image, by Euclidean distance. Ties go to the lowest index.

    Args:
        real: Latents (B, ...) of real images.
        images: Latents (n, ...) of distilled images.

    Returns:
        Counts (n,) int64, which sum to B.

    Raises:
        DistillError: A latent of an image is not finite.
    """
    real, images = (np.asarray(latents, np.float64).reshape(len(latents), -1) for latents in (real, images))
    if not np.isfinite(images).all():
        raise DistillError('latents of images are not finite: encode in float32 or bfloat16')
    distances = (images ** 2).sum(1) - 2 * real @ images.T  # without the term that is equal for all images
    return np.bincount(distances.argmin(1), minlength=len(images))
