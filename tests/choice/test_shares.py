"""Weights of images from the numbers of real images assigned to them."""
import numpy as np
import pytest

from mmdistill.choice import ClusterShares, count_nearest
from mmdistill.errors import DistillError


def test_weights_are_shares_times_the_number_of_images():
    np.testing.assert_allclose(ClusterShares()(np.array([2, 0, 1]), np.array([10, 30, 60])), [1.8, 0.3, 0.9])


def test_images_of_one_cluster_share_it():
    """Three images of two clusters: the halves of the first, and all of the second."""
    np.testing.assert_allclose(ClusterShares()(np.array([0, 1, 0]), np.array([4, 4])), [0.75, 1.5, 0.75])


def test_clusters_without_an_image_do_not_count():
    np.testing.assert_allclose(ClusterShares()(np.array([0, 2]), np.array([1, 96, 3])), [0.5, 1.5])


def test_a_weight_may_be_zero():
    assert ClusterShares('nearest')(np.arange(2), np.array([5, 0])).tolist() == [2, 0]
    assert ClusterShares()(np.arange(2), np.zeros(2)).tolist() == [1, 1]


def test_nearest_against_all_distances():
    rng = np.random.default_rng(0)
    real, images = rng.normal(size=(50, 2, 3, 3)) + 100, rng.normal(size=(7, 2, 3, 3)) + 100
    images[3] = images[1]  # the first of equal ones counts
    expected = np.zeros(7, int)
    for one in real:
        expected[min(range(7), key=lambda i: ((one - images[i]) ** 2).sum())] += 1
    found = count_nearest(real, images)
    assert found.tolist() == expected.tolist() and found.sum() == 50 and found[3] == 0
    assert (count_nearest(real[:20], images) + count_nearest(real[20:], images)).tolist() == expected.tolist()
    with pytest.raises(DistillError, match='not finite'):
        count_nearest(real, np.full_like(images, np.inf))


def test_settings():
    with pytest.raises(DistillError, match="by='mass' is unknown: set it to 'prototype' or 'nearest'"):
        ClusterShares('mass')
