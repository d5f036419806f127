"""The contract of all selectors."""
import numpy as np
import pytest
from sklearn.base import clone

from mmdistill import selection
from mmdistill.errors import DistillError
from mmdistill.selection import (ClassBalancedGreedy, FrequencyWeightedSelector, KCenterSelector, RandomSelector,
                                 RarestClassFirst, UniformPerClassSelector)
from mmdistill.selection.base import class_fractions, split_by_class
from mmdistill.settings import check_settings, parameters

SELECTORS = (ClassBalancedGreedy, RarestClassFirst, RandomSelector, FrequencyWeightedSelector, KCenterSelector,
             UniformPerClassSelector)
every = pytest.mark.parametrize('selector', SELECTORS)


def histograms(seed=0, masks=60, classes=7, empty=0.1):
    """Long-tailed: class c is in a share 1 / (c + 1) of the masks; some masks are unlabelled."""
    rng = np.random.default_rng(seed)
    shown = rng.random((masks, classes)) < 1 / (1 + np.arange(classes))
    counts = shown * rng.integers(1, 1000, (masks, classes))
    counts[rng.random(masks) < empty] = 0
    return counts


@every
def test_picks_distinct_usable_masks(selector):
    for seed in range(5):
        counts = histograms(seed)
        selected = selector(0.3).fit(counts).selected_
        assert selected.dtype == np.int64 and selected.shape == (18, )
        assert len(set(selected.tolist())) == 18
        assert counts[selected].any(axis=1).all()


@every
def test_selects_all_usable_masks_on_request(selector):
    counts = histograms()
    usable = np.flatnonzero(counts.any(axis=1))
    assert sorted(selector(len(usable)).fit(counts).selected_) == usable.tolist()


@every
def test_init_comes_first_and_counts(selector):
    counts = histograms(empty=0)
    selected = selector(10, init=[41, 3, 7]).fit(counts).selected_
    assert selected[:3].tolist() == [41, 3, 7]
    assert len(set(selected.tolist())) == 10
    assert selector(3, init=[41, 3, 7]).fit(counts).selected_.tolist() == [41, 3, 7]
    assert sorted(selector(60, init=[41, 3, 7]).fit(counts).selected_) == list(range(60))


@every
def test_masks_whose_classes_are_too_small_are_the_last_resort(selector):
    counts = np.zeros((6, 3), int)
    counts[:, 0] = 5
    params = dict(min_area=10) if 'min_area' in selector(1).get_params() else {}
    assert sorted(selector(6, **params).fit(counts).selected_) == list(range(6))


@every
def test_estimator_contract(selector):
    counts = histograms(empty=0)
    first = selector(5, init=[0, 1])
    params = first.get_params()
    assert params['budget'] == 5
    assert first.fit(counts) is first
    assert first.get_params() == params
    copy = clone(first)
    assert not hasattr(copy, 'selected_') and copy.get_params() == params
    np.testing.assert_array_equal(copy.fit(counts).selected_, first.selected_)
    copy.set_params(budget=9).fit(histograms(1, empty=0))
    assert len(copy.selected_) == 9
    np.testing.assert_array_equal(copy.set_params(budget=5).fit(counts).selected_, first.selected_)


@every
def test_input_is_left_as_it_was(selector):
    counts = histograms()
    before = counts.copy()
    selector(9).fit(counts)
    np.testing.assert_array_equal(counts, before)


@every
def test_integral_floats_and_unsigned_integers_are_counts(selector):
    counts = histograms()
    expected = selector(9).fit(counts).selected_
    for dtype in (np.float64, np.float32, np.uint16, np.int32):
        np.testing.assert_array_equal(selector(9).fit(counts.astype(dtype)).selected_, expected)


@every
@pytest.mark.parametrize('bad', [
    np.zeros((0, 3), int), np.zeros(3, int), np.zeros((2, 0), int), [[1, -1]], [[1.5, 1]], [[np.nan, 1]],
    [[np.inf, 1]], [['a', 'b']], [[True, False]]])
def test_bad_histograms(selector, bad):
    with pytest.raises(DistillError, match='histograms') as error:
        selector(1).fit(bad)
    assert '\n' not in str(error.value)


@every
@pytest.mark.parametrize('budget', [0, 61, 1.0, float('nan'), True])
def test_bad_budget(selector, budget):
    with pytest.raises(DistillError, match='budget'):
        selector(budget).fit(histograms())


@every
def test_fewer_usable_masks_than_the_budget(selector):
    with pytest.raises(DistillError, match='only 2 of 4'):
        selector(3).fit([[1, 0], [0, 0], [0, 2], [0, 0]])


@every
@pytest.mark.parametrize('init, said', [
    ([0, 1, 2], 'budget of 2'), ([4], '0..3'), ([-1], '0..3'), ([0, 0], 'twice'), ([3], 'no labelled pixel'),
    ([0.5], 'init=.0.5. has an item 0.5 that has to be a whole number'), ([[0]], 'an item .0. that'),
    (np.array([0.5]), 'indices'), (np.array([[0]]), 'indices')])
def test_bad_init(selector, init, said):
    with pytest.raises(DistillError, match=said):
        selector(2, init=init).fit([[1, 0], [1, 2], [0, 2], [0, 0]])


@pytest.mark.parametrize('selector', [ClassBalancedGreedy, RarestClassFirst, FrequencyWeightedSelector,
                                      UniformPerClassSelector])
@pytest.mark.parametrize('params', [dict(min_area=-1), dict(min_fraction=1.0), dict(min_fraction=-0.1),
                                    dict(min_fraction=float('nan'))])
def test_bad_thresholds(selector, params):
    with pytest.raises(DistillError, match=next(iter(params))):
        selector(2, **params).fit(histograms())


def test_fractions():
    counts = np.array([[50, 0, 50], [1, 99, 0], [0, 0, 0], [0, 4, 0]])
    np.testing.assert_allclose(class_fractions(counts).toarray(),
                               [[0.5, 0, 0.5], [0.01, 0.99, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(class_fractions(counts, min_fraction=0.02).toarray()[1], [0, 0.99, 0])
    np.testing.assert_allclose(class_fractions(counts, min_area=5).toarray()[3], [0, 0, 0])
    # The thresholds themselves are enough.
    np.testing.assert_allclose(class_fractions(counts, 4, 0.01).toarray(), class_fractions(counts).toarray() *
                               (counts >= 4))


def test_too_small_classes_are_reported():
    counts = np.array([[1000, 1, 0, 0], [1000, 0, 0, 30]])
    assert ClassBalancedGreedy(1, min_fraction=0.01).fit(counts).too_small_.tolist() == [1]
    assert RarestClassFirst(1, min_area=31).fit(counts).too_small_.tolist() == [1, 3]


def test_split_by_class():
    fractions = class_fractions(np.array([[1, 1, 0], [1, 3, 0], [2, 2, 0], [0, 8, 0]]))
    assert [masks.tolist() for masks in split_by_class(fractions)] == [[0, 2, 1], [3, 1, 0, 2], []]


@pytest.mark.parametrize('name, needs, stochastic, per_class', [
    ('ClassBalancedGreedy', 'histograms', False, False), ('RarestClassFirst', 'histograms', False, False),
    ('RandomSelector', 'histograms', True, False), ('FrequencyWeightedSelector', 'histograms', True, False),
    ('KCenterSelector', 'histograms', True, False), ('UniformPerClassSelector', 'histograms', True, False),
    ('HerdingSelector', 'features', False, False), ('FeatureKCenterSelector', 'features', True, False),
    ('RandomPerClassSelector', 'samples', True, True)])
def test_declarations_of_a_selector(name, needs, stochastic, per_class):
    """A subclass with ``**kwargs`` inherits it."""
    selector = getattr(selection, name)

    class Third(selector):
        def __init__(self, power=1.0, **kwargs):
            super().__init__(**kwargs)

    for kind in (selector, Third):
        assert (kind.needs, kind.stochastic, kind.per_class) == (needs, stochastic, per_class)
        assert ('random_state' in parameters(kind)) == stochastic
        check_settings(kind, dict(budget=0.1, **dict(random_state=3) if stochastic else {}), 'selector')
        with pytest.raises(DistillError, match='selector.budget=0 is out of range'):
            check_settings(kind, dict(budget=0), 'selector')
        with pytest.raises(DistillError, match=rf'{kind.__name__}.budget=1.5 is out of range: it has to be in'):
            kind(budget=1.5).fit([[1, 2]], [0])


def test_settings_of_a_subclass_are_checked_by_fit():
    class Third(RandomSelector):
        def __init__(self, power=1.0, **kwargs):
            super().__init__(**kwargs)

    rng = np.random.RandomState(0)
    assert len(Third(budget=5, random_state=rng).fit(histograms()).selected_) == 5
    for value in ('abc', -1, 2**32, 0.5):
        with pytest.raises(DistillError, match='Third.random_state='):
            Third(budget=5, random_state=value).fit(histograms())
