import numpy as np
import pytest
from scipy.spatial.distance import cdist

from mmdistill.selection import (FrequencyWeightedSelector, KCenterSelector, RandomSelector, UniformPerClassSelector)

RANDOM = (RandomSelector, FrequencyWeightedSelector, KCenterSelector, UniformPerClassSelector)


def histograms(seed=0, masks=80, classes=6):
    rng = np.random.default_rng(seed)
    counts = (rng.random((masks, classes)) < 1 / (1 + np.arange(classes))) * rng.integers(1, 1000, (masks, classes))
    counts[:, 0] += 1
    return counts


@pytest.mark.parametrize('selector', RANDOM)
def test_the_seed_decides(selector):
    counts = histograms()
    runs = [selector(10, random_state=seed).fit(counts).selected_.tolist() for seed in range(6)]
    assert runs == [selector(10, random_state=seed).fit(counts).selected_.tolist() for seed in range(6)]
    assert len({tuple(run) for run in runs}) > 1


def test_random_is_uniform():
    counts = histograms(masks=20)
    counts[4] = 0
    hits = np.zeros(20)
    for seed in range(2000):
        hits[RandomSelector(5, random_state=seed).fit(counts).selected_] += 1
    assert hits[4] == 0
    expected = 2000 * 5 / 19
    np.testing.assert_allclose(np.delete(hits, 4), expected, atol=5 * np.sqrt(expected))


def test_frequency_weighted_draws_by_inverse_class_frequency():
    """Class 0 in all of 10 masks, class 1 in two of them: weights 1 and (1 + 10 / 2) / 2 = 3."""
    counts = np.zeros((10, 2), int)
    counts[:, 0] = 50
    counts[[2, 7], 1] = 50
    hits = np.zeros(10)
    for seed in range(4000):
        hits[FrequencyWeightedSelector(1, random_state=seed).fit(counts).selected_] += 1
    weights = np.where(np.isin(np.arange(10), [2, 7]), 3, 1)
    np.testing.assert_allclose(hits, 4000 * weights / weights.sum(), atol=150)


def test_k_center_is_farthest_point():
    for seed in range(10):
        counts = histograms(seed)
        h = counts / counts.sum(1, keepdims=True)
        fitted = KCenterSelector(12, random_state=seed).fit(counts)
        chosen = fitted.selected_.tolist()
        for n in range(1, 12):
            nearest = cdist(h, h[chosen[:n]]).min(1)
            assert nearest[chosen[n]] == pytest.approx(nearest.max(), abs=1e-7)
        assert fitted.radius_ == pytest.approx(cdist(h, h[chosen]).min(1).max(), abs=1e-7)


def test_k_center_starts_from_init():
    counts = histograms()
    h = counts / counts.sum(1, keepdims=True)
    selected = KCenterSelector(3, init=[5]).fit(counts).selected_
    assert selected[0] == 5 and selected[1] == np.argmax(np.linalg.norm(h - h[5], axis=1))


def test_uniform_gives_every_class_its_turn():
    """Ten masks of class 0, three of class 1, two of class 2: the classes alternate, in any order."""
    counts = np.zeros((15, 3), int)
    counts[:10, 0] = counts[10:13, 1] = counts[13:, 2] = 7
    orders = set()
    for seed in range(20):
        selected = UniformPerClassSelector(9, random_state=seed).fit(counts).selected_
        kinds = counts[selected].argmax(1)
        assert sorted(kinds[:3]) == sorted(kinds[3:6]) == [0, 1, 2]
        assert np.bincount(kinds).tolist() == [4, 3, 2]
        orders |= {tuple(kinds[:3]), tuple(kinds[3:6])}
    assert len(orders) == 6


def test_uniform_picks_among_the_masks_of_a_class():
    counts = np.ones((8, 1), int)
    first = {int(UniformPerClassSelector(1, random_state=seed).fit(counts).selected_[0]) for seed in range(100)}
    assert first == set(range(8))
