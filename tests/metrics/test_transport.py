import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist

from mmdistill.errors import DistillError
from mmdistill.metrics import transport_distance


def linear_program(x, y):
    """The definition, solved by scipy."""
    n, m = len(x), len(y)
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    solved = linprog((cdist(x, y)**2).ravel(), A_eq=np.vstack((rows, columns)),
                     b_eq=np.r_[np.full(n, 1 / n), np.full(m, 1 / m)], bounds=(0, None))
    assert solved.success
    return solved.fun**0.5


@pytest.mark.parametrize('n, m', [(7, 5), (1, 4), (6, 1), (9, 9)])
def test_is_the_linear_programs(features, n, m):
    x, y = features(n), features(m, seed=1)
    found = transport_distance(x, y)
    assert found.method == 'exact'
    assert found.distance == pytest.approx(linear_program(x, y), rel=1e-9)


def test_of_sets_of_one_size_is_the_best_assignment(features):
    x, y = features(60), features(60, seed=1)
    costs = cdist(x, y, 'sqeuclidean')
    best = costs[linear_sum_assignment(costs)].mean()
    assert transport_distance(x, y).distance == pytest.approx(np.sqrt(best), rel=1e-9)


def test_of_a_shifted_set_is_the_shift(features):
    x, shift = features(50), np.array([3., -4, 0, 12, 0, 0])
    assert transport_distance(x, x + shift).distance == pytest.approx(13, rel=1e-9)
    assert transport_distance(x + 1e6, x + 1e6 + shift).distance == pytest.approx(13, rel=1e-6)


def test_of_a_set_to_itself_in_another_order_is_0(features):
    x = features(80)
    y = np.random.default_rng(0).permutation(x)
    assert transport_distance(x, y).distance == pytest.approx(0, abs=1e-6)
    assert transport_distance(x, y, exact_limit=0, epsilon=1e-3).distance < 0.01 * cdist(x, x).mean()
    assert transport_distance(np.ones((3, 2)), np.ones((2, 2)), exact_limit=0).distance == 0


def test_order_of_the_samples_and_of_the_sets_does_not_matter(features):
    x, y = features(40), features(25, seed=1)
    rng = np.random.default_rng(0)
    expected = transport_distance(x, y).distance
    assert transport_distance(rng.permutation(x), rng.permutation(y)).distance == pytest.approx(expected, rel=1e-9)
    assert transport_distance(y, x).distance == pytest.approx(expected, rel=1e-9)


def test_entropic_goes_down_to_exact(features):
    x, y = features(200), features(30, seed=1)
    exact = transport_distance(x, y).distance
    found = [transport_distance(x, y, exact_limit=0, epsilon=epsilon) for epsilon in (1, 0.1, 0.01, 0.002)]
    assert {result.method for result in found} == {'entropic'}
    gaps = [result.distance / exact - 1 for result in found]
    assert gaps == sorted(gaps, reverse=True) and -1e-6 < gaps[-1] < 2e-3 and gaps[0] > 0.1


def test_entropic_is_an_upper_bound_before_it_has_converged(features):
    x, y = features(200), features(30, seed=1) + 5
    exact = transport_distance(x, y).distance
    found = transport_distance(x, y, exact_limit=0, epsilon=1e-4, max_iter=2).distance
    assert exact * (1 - 1e-6) < found < 1.5 * exact


def test_the_limit_decides(features):
    x, y = features(20), features(10, seed=1)
    assert transport_distance(x, y, exact_limit=200).method == 'exact'
    assert transport_distance(x, y, exact_limit=199).method == 'entropic'


@pytest.mark.parametrize('change, message', [
    (dict(distilled=np.zeros((3, 5))), 'real features have 6 dimensions, distilled ones 5'),
    (dict(distilled=np.zeros(6)), 'distilled features have to be of shape'),
    (dict(distilled=np.zeros((0, 6))), 'the distilled set has 0 samples'),
    (dict(real=np.full((4, 6), 'a')), 'real features have to be numbers'),
    (dict(real=np.r_[np.zeros((5000, 6)), np.full((1, 6), np.nan)]), 'real features: sample 5000 .* not finite'),
    (dict(epsilon=0), 'epsilon 0 is out of range'),
])
def test_refused_in_one_line(features, change, message):
    with pytest.raises(DistillError, match=message) as error:
        transport_distance(**{**dict(real=features(4), distilled=features(3)), **change})
    assert '\n' not in str(error.value)
