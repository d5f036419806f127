"""The gap of near-duplicates against its definition in loops."""
import numpy as np
import pytest
from scipy.sparse import csr_array

from mmdistill.selection.neighbours import decorrelation_gap


def hellinger(p, q):
    return np.sqrt(sum((np.sqrt(a) - np.sqrt(b))**2 for a, b in zip(p, q)))


def naive(shares, largest):
    """The reference is the median over all pairs, not over random ones."""
    frames = [row if row.any() else None for row in shares]

    def median(gaps):
        values = [hellinger(frames[i], frames[i + gap]) for gap in gaps for i in range(len(frames) - gap)
                  if frames[i] is not None and frames[i + gap] is not None]
        return np.median(values)

    half = median(range(1, len(frames))) / 2
    return next((gap for gap in range(1, largest) if median([gap]) >= half), largest)


def video(frames, speed, seed):
    """Shares of a random walk of log-counts that returns to its mean."""
    rng, state, rows = np.random.default_rng(seed), np.zeros(6), []
    for _ in range(frames):
        state = (1 - speed) * state + rng.normal(0, np.sqrt(speed), 6)
        rows.append(np.exp(state) / np.exp(state).sum())
    return np.array(rows)


@pytest.mark.parametrize('seed', range(6))
def test_it_is_the_definition(seed):
    shares = video(200, [0.02, 0.05, 0.3][seed % 3], seed)
    shares[::7] = 0  # masks without labels
    assert abs(decorrelation_gap(csr_array(shares), 40) - naive(shares, 40)) <= 1


@pytest.mark.parametrize('speed', [0.02, 0.05, 0.1, 0.9])
def test_a_gaussian_walk_has_a_closed_form(speed):
    """Squared distances of the walk after g steps are 1 - (1 - speed)^g of those of random pairs."""
    expected = np.ceil(np.log(3 / 4) / np.log(1 - speed))
    assert abs(decorrelation_gap(csr_array(video(6000, speed, seed=4)), 40) - expected) <= 1 + expected // 8


def test_it_is_limited():
    assert decorrelation_gap(csr_array(video(200, 0.01, seed=0)), 5) == 5
    assert decorrelation_gap(csr_array(video(200, 0.01, seed=0)), 1) == 1


def test_it_is_1_where_the_order_says_nothing():
    shares = np.random.default_rng(0).permutation(video(300, 0.02, seed=1))
    assert decorrelation_gap(csr_array(shares), 40) == 1


@pytest.mark.parametrize('shares', [np.zeros((6, 3)), np.ones((9, 1)), np.tile([[0.5, 0.5]], (20, 1)), np.eye(1)])
def test_masks_without_differences(shares):
    assert decorrelation_gap(csr_array(shares), 9) == 1
