import numpy as np
import pytest
from scipy.stats import entropy

from mmdistill.errors import DistillError
from mmdistill.metrics import class_balance


def test_against_the_definitions():
    real, distilled = np.array([60, 30, 10, 0]), np.array([1, 1, 0, 0])
    found = class_balance(real, distilled, 'abcd')
    p, q = real / 100, distilled / 2
    middle = (p + q) / 2
    assert found['real'] == dict(a=0.6, b=0.3, c=0.1, d=0)
    assert found['distilled'] == dict(a=0.5, b=0.5, c=0, d=0)
    assert found['jensen_shannon']**2 == pytest.approx((entropy(p, middle, 2) + entropy(q, middle, 2)) / 2)
    assert found['total_variation'] == pytest.approx(0.2)
    assert found['missing'] == ['c']


def test_range():
    same, apart = class_balance([2, 4], [10, 20], 'ab'), class_balance([2, 0], [0, 5], 'ab')
    assert (same['jensen_shannon'], same['total_variation']) == (pytest.approx(0, abs=1e-7), 0)
    assert (apart['jensen_shannon'], apart['total_variation']) == (pytest.approx(1), 1)


@pytest.mark.parametrize('counts, message', [
    ([1, 2, 3], 'have to be 2 finite numbers'), ([1, -1], 'at least 0'), ([1, np.inf], 'finite numbers'),
    ([0, 0], 'all class counts of the distilled set are 0')])
def test_refused_in_one_line(counts, message):
    with pytest.raises(DistillError, match=message):
        class_balance([1, 2], counts, 'ab')
