import numpy as np
import pytest
from scipy.linalg import sqrtm

from mmdistill.errors import DistillError
from mmdistill.metrics import frechet_distance


def by_matrix_root(x, y):
    """The textbook expression, on covariances."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return np.sum((x.mean(0) - y.mean(0))**2) + np.trace(s + t - 2 * np.real(sqrtm(s @ t)))


def whitened(n, d, seed=0):
    """Samples with mean 0 and covariance exactly 1."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


@pytest.mark.parametrize('n, m', [(50, 40), (50, 8), (8, 50)])
def test_is_that_of_the_matrix_root(features, n, m):
    x, y = features(n), features(m, seed=1)
    assert frechet_distance(x, y) == pytest.approx(by_matrix_root(x, y), rel=1e-7)


@pytest.mark.parametrize('n', [40, 20])
def test_closed_form_of_diagonal_gaussians(n):
    d = 5
    x = whitened(n, d)
    a, b, shift = np.arange(1., d + 1), np.array([2., 2, 0, 1, 7]), np.linspace(-1, 1, d)
    expected = shift @ shift + ((a - b)**2).sum()
    assert frechet_distance(x * a, whitened(30, d, 1) * b + shift) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('n, m', [(6, 9), (6, 200), (200, 6)])
def test_fewer_samples_than_dimensions(n, m):
    """Both sets in a plane of 40 dimensions: as within the plane; and two planes at right angles share nothing."""
    d, rng = 40, np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    x, y = rng.normal(size=(n, 4)) * [1, 2, 3, 4], rng.normal(size=(m, 4)) + 1
    assert frechet_distance(x @ axes[:4], y @ axes[:4]) == pytest.approx(by_matrix_root(x, y), rel=1e-7)
    apart = ((x.mean(0)**2).sum() + (y.mean(0)**2).sum() + np.trace(np.cov(x, rowvar=False))
             + np.trace(np.cov(y, rowvar=False)))
    assert frechet_distance(x @ axes[:4], y @ axes[4:8]) == pytest.approx(apart, rel=1e-9)


def test_of_a_set_to_itself_is_0_and_of_a_shifted_one_the_squared_shift(features):
    for x in (features(60), features(4)):
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
        assert frechet_distance(x + 1e4, x + 1e4 + 2) == pytest.approx(6 * 4, rel=1e-6)


def test_one_sample_has_no_covariance(features):
    with pytest.raises(DistillError, match='the distilled set has 1 samples, but at least 2'):
        frechet_distance(features(5), features(1))
