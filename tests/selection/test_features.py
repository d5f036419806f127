import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import clone

from mmdistill.errors import DistillError
from mmdistill.selection import FeatureKCenterSelector, HerdingSelector, RandomPerClassSelector
from mmdistill.selection.features import _herd

EVERY = (HerdingSelector, FeatureKCenterSelector)


def samples(n=60, d=5, seed=0):
    """Features off the origin, and three classes of uneven sizes, in a mixed order."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.arange(1, d + 1) + 50, rng.choice([2, 5, 9], n, p=[0.5, 0.3, 0.2])


def naive_herding(x, count):
    """The definition: every candidate's mean, one after the other."""
    mean, selected = x.mean(axis=0), []
    for _ in range(count):
        gaps = [np.inf if i in selected else np.linalg.norm(mean - x[selected + [i]].mean(axis=0))
                for i in range(len(x))]
        selected.append(int(np.argmin(gaps)))
    return selected


@pytest.mark.parametrize('dtype', [np.float64, np.float32])
def test_herding_is_the_naive_one(dtype):
    for seed in range(5):
        x = samples(seed=seed)[0].astype(dtype)
        assert HerdingSelector(15).fit(x).selected_.tolist() == naive_herding(x.astype(float), 15)


def test_herding_takes_equal_but_for_rounding_as_equal():
    """The second point is nearer to the mean by one unit in the last place of a float."""
    assert _herd(np.array([[1 + 2.0**-52], [1.0], [-3.0]]), 1) == [0]


def test_herding_matches_the_mean_better_than_random():
    x, labels = samples(300)
    fitted = HerdingSelector(5, per_class=True).fit(x, labels)
    for label in (2, 5, 9):
        own = x[labels == label]
        chosen = x[fitted.selected_[labels[fitted.selected_] == label]]
        rng = np.random.default_rng(0)
        gaps = [np.linalg.norm(own[rng.choice(len(own), 5)].mean(0) - own.mean(0)) for _ in range(200)]
        assert np.linalg.norm(chosen.mean(0) - own.mean(0)) < np.quantile(gaps, 0.01)


def test_k_center_is_farthest_point():
    for seed in range(5):
        x = samples(seed=seed)[0]
        fitted = FeatureKCenterSelector(12, random_state=seed).fit(x)
        chosen = fitted.selected_.tolist()
        for n in range(1, 12):
            nearest = cdist(x, x[chosen[:n]]).min(1)
            assert chosen[n] == np.argmax(nearest)
        assert fitted.radius_ == pytest.approx(cdist(x, x[chosen]).min(1).max(), rel=1e-9)


def test_the_seed_decides_where_k_center_starts():
    x = samples()[0]
    firsts = {FeatureKCenterSelector(1, random_state=seed).fit(x).selected_[0] for seed in range(300)}
    assert firsts == set(range(60))


@pytest.mark.parametrize('selector', EVERY)
@pytest.mark.parametrize('budget, counts', [(4, [4, 4, 4]), (0.5, None)])
def test_per_class_is_each_class_alone(selector, budget, counts):
    x, labels = samples()
    fitted = selector(budget, per_class=True).fit(x, labels)
    sizes = [(labels == label).sum() for label in (2, 5, 9)]
    counts = counts or [-(-size // 2) for size in sizes]
    assert labels[fitted.selected_].tolist() == [2] * counts[0] + [5] * counts[1] + [9] * counts[2]
    assert len(set(fitted.selected_.tolist())) == sum(counts)
    first = np.flatnonzero(labels == 2)
    alone = selector(budget).fit(x[first])  # the first class meets the same random number
    assert first[alone.selected_].tolist() == fitted.selected_[:counts[0]].tolist()
    if selector is FeatureKCenterSelector:
        radii = [cdist(x[labels == label], x[fitted.selected_][labels[fitted.selected_] == label]).min(1).max()
                 for label in (2, 5, 9)]
        assert fitted.radius_ == pytest.approx(max(radii))


@pytest.mark.parametrize('selector', EVERY)
def test_of_equal_samples_the_lowest_index_goes_first(selector):
    """Each of three points ten times: rounding in a matrix product must not change the choice."""
    points = np.random.default_rng(0).normal(size=(3, 257)) * 1e3
    for order in range(5):
        which = np.random.default_rng(order).permutation(np.repeat([0, 1, 2], 10))
        chosen = selector(3).fit(points[which]).selected_
        # The first of k-center is random; of every other point the first copy.
        start = 0 if selector is HerdingSelector else 1
        copies = [np.flatnonzero(which == which[i]) for i in chosen]
        assert [c[0] for c in copies[start:]] == chosen[start:].tolist()
        assert sorted(which[chosen]) == [0, 1, 2]
    first, *others = selector(4).fit(np.ones((6, 2))).selected_.tolist()
    assert others == [i for i in range(6) if i != first][:3]


@pytest.mark.parametrize('selector', EVERY + (RandomPerClassSelector, ))
def test_estimator_contract(selector):
    x, labels = samples()
    first = selector(3).set_params(**({'per_class': True} if 'per_class' in selector(1).get_params() else {}))
    before, params = x.copy(), first.get_params()
    assert first.fit(x, labels) is first and first.get_params() == params
    assert first.selected_.dtype == np.int64 and first.selected_.shape == (9, )
    np.testing.assert_array_equal(clone(first).fit(x, labels).selected_, first.selected_)
    np.testing.assert_array_equal(x, before)


def test_random_per_class_is_uniform():
    labels = np.array([3] * 8 + [1] * 4)
    hits = np.zeros(12)
    for seed in range(2000):
        selected = RandomPerClassSelector(2, random_state=seed).fit(labels, labels).selected_
        assert labels[selected].tolist() == [1, 1, 3, 3] and len(set(selected.tolist())) == 4
        hits[selected] += 1
    np.testing.assert_allclose(hits, [500] * 8 + [1000] * 4, atol=5 * np.sqrt(1000))


@pytest.mark.parametrize('selector, fit, message', [
    (HerdingSelector(40, True), dict(), r'class 9 has \d+ samples, fewer than the budget of 40 per class'),
    (RandomPerClassSelector(500), dict(), 'class 9 has'),
    (FeatureKCenterSelector(61), dict(), 'budget 61 is out of range: the set has 60 samples'),
    (HerdingSelector(0, True), dict(), 'HerdingSelector.budget=0 is out of range'),
    (HerdingSelector(3, True), dict(labels=None), 'a selection per class needs labels'),
    (HerdingSelector(3, True), dict(labels=[1, 2]), 'the labels have to be 60 whole numbers'),
    (HerdingSelector(3), dict(features=np.full((60, 2), np.nan)), 'sample 0 has a value that is not finite'),
    (HerdingSelector(3), dict(features=np.zeros((0, 2))), 'the real set has 0 samples'),
])
def test_refused_in_one_line(selector, fit, message):
    x, labels = samples()
    with pytest.raises(DistillError, match=message) as error:
        selector.fit(fit.get('features', x), fit.get('labels', labels))
    assert '\n' not in str(error.value)


def test_a_set_without_samples_is_refused():
    with pytest.raises(DistillError, match='there are no samples to select from'):
        RandomPerClassSelector(2).fit([], np.zeros(0, int))
