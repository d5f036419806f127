import numpy as np
import pytest
from scipy.spatial.distance import pdist

from mmdistill.errors import DistillError
from mmdistill.metrics import coverage_density, diversity


def naive(real, distilled, k):
    """Naeem et al.'s definitions, pair by pair."""
    radii = [sorted(np.linalg.norm(x - other) for j, other in enumerate(real) if j != i)[k - 1]
             for i, x in enumerate(real)]
    inside = [[np.linalg.norm(x - y) < radius for y in distilled] for x, radius in zip(real, radii)]
    return dict(coverage=np.mean([any(row) for row in inside]),
                density=sum(map(sum, inside)) / (k * len(distilled)))


@pytest.mark.parametrize('k', [1, 3, 5])
@pytest.mark.parametrize('dtype', [np.float64, np.float32])
def test_coverage_and_density_are_the_naive_ones(features, k, dtype):
    x, y = features(40).astype(dtype), features(40, seed=0)[::4].astype(dtype) + dtype(0.05)
    expected = naive(x.astype(float), y.astype(float), k)
    assert 0 < expected['coverage'] < 1
    assert coverage_density(x, y, k) == pytest.approx(expected)


def test_a_sample_on_the_edge_of_a_ball_lies_outside():
    """On the line 0, 1, 2 with k = 1 all radii are 1: a sample at 1 lies in its own ball alone."""
    x = np.array([[0.], [1], [2]])
    assert coverage_density(x, x[1:2], 1) == dict(coverage=pytest.approx(1 / 3), density=pytest.approx(1))
    assert coverage_density(x * 0.1 + 7.3, x[1:2] * 0.1 + 7.3, 1)['coverage'] == pytest.approx(1 / 3)


def test_the_real_set_covers_itself_and_a_far_one_nothing(features):
    x = features(50)
    assert coverage_density(x, x)['coverage'] == 1
    assert coverage_density(x, x + 1e3) == dict(coverage=0, density=0)
    assert coverage_density(x + 1e5, x[::2] + 1e5) == pytest.approx(coverage_density(x, x[::2]))


def test_density_of_a_second_draw_is_about_1():
    rng = np.random.default_rng(0)
    found = coverage_density(rng.normal(size=(2000, 4)), rng.normal(size=(2000, 4)))
    assert found['density'] == pytest.approx(1, abs=0.05) and found['coverage'] > 0.9


def test_diversity_is_the_mean_over_pairs(features):
    x = features(70)
    assert diversity(x) == pytest.approx(pdist(x).mean(), rel=1e-12)
    assert diversity((x + 100).astype(np.float32)) == pytest.approx(pdist(x).mean(), rel=1e-4)
    assert diversity(np.array([[0., 0], [3, 4]])) == pytest.approx(5)


def test_blocks_of_distances_make_no_difference(features, monkeypatch):
    x, y = features(3000), features(200, seed=0) + 0.1
    expected = diversity(x), coverage_density(x, y)
    monkeypatch.setattr('mmdistill.metrics.coverage._BLOCK', 1)
    assert (diversity(x), coverage_density(x, y)) == (pytest.approx(expected[0], rel=1e-12), expected[1])


def test_too_few_samples(features):
    for k, message in ((0, 'k 0'), (5, 'k 5 needs more than 5 real samples, there are 5')):
        with pytest.raises(DistillError, match=message):
            coverage_density(features(5), features(5), k)
    with pytest.raises(DistillError, match='the distilled set has 1 samples, but at least 2'):
        diversity(features(1))
