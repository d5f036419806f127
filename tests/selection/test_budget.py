import numpy as np
import pytest

from mmdistill.errors import DistillError
from mmdistill.selection import resolve_budget


@pytest.mark.parametrize('budget, total, count', [
    (1, 1, 1), (203, 20210, 203), (np.int32(7), 7, 7),
    (0.01, 20210, 203), (0.01, 118287, 1183), (np.float64(0.01), 20210, 203),
    # Ratios whose product with the total is a little above a whole number in floats.
    (0.07, 100, 7), (0.14, 50, 7), (0.29, 100, 29), (0.57, 100, 57),
    (1e-9, 10, 1), (0.999999, 10, 10), (0.5, 1, 1),
])
def test_count(budget, total, count):
    result = resolve_budget(budget, total)
    assert result == count and type(result) is int


def test_every_percent_of_a_round_number():
    assert [resolve_budget(p / 100, 1000) for p in range(1, 100)] == [10 * p for p in range(1, 100)]


@pytest.mark.parametrize('budget', [
    0, -1, 11, 0.0, -0.5, 1.0, 3.0, float('nan'), float('inf'), True, False, None, '5', [3]])
def test_refused_in_one_line(budget):
    with pytest.raises(DistillError, match='budget') as error:
        resolve_budget(budget, 10)
    assert '\n' not in str(error.value)


def test_a_set_of_one():
    with pytest.raises(DistillError, match='budget 2 is out of range: the set has 1 mask, use 1..1'):
        resolve_budget(2, 1)


def test_empty_set():
    with pytest.raises(DistillError, match='no masks'):
        resolve_budget(0.5, 0)
