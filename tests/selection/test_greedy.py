"""The greedy selectors against naive ones written from the definition, dense and in float64."""
import itertools

import numpy as np
import pytest

from mmdistill.errors import DistillError
from mmdistill.selection import ClassBalancedGreedy, RarestClassFirst

RANDOM = range(60)


def shares(counts, min_area=1, min_fraction=0.001):
    counts = np.asarray(counts, float)
    total = np.maximum(counts.sum(1, keepdims=True), 1)
    return np.where((counts >= min_area) & (counts / total >= min_fraction), counts / total, 0)


def objective(shares_, chosen, tau, density=0.0):
    return np.log(1 + shares_[list(chosen)].sum(0) / tau).sum() + density * (shares_[list(chosen)] > 0).sum()


def naive(counts, budget, tau, init=(), density=0.0, min_gap=1, **presence):
    """Plain greedy: all gains are computed in each round, as differences of terms of F. None if no mask is left."""
    h, usable = shares(counts, **presence), np.asarray(counts).any(1)
    chosen, covered = list(init), shares(counts, **presence)[list(init)].sum(0)
    while len(chosen) < budget:
        gains = (np.log1p((covered + h) / tau) - np.log1p(covered / tau)).sum(1) + density * (h > 0).sum(1)
        gains[~usable] = -1
        gains[[min(abs(i - c) for c in chosen) < min_gap if chosen else False for i in range(len(h))]] = -1
        best = gains.max()
        if best < 0:
            return None
        chosen.append(next(i for i, g in enumerate(gains) if g >= 0 and g >= best - 1e-12 * max(best, 1)))
        covered = covered + h[chosen[-1]]
    return chosen


def random_counts(seed):
    """All kinds of sets: long tails, ties, equal rows, empty rows, absent classes, tiny classes."""
    rng = np.random.default_rng(seed)
    masks, classes = rng.integers(8, 120), rng.integers(1, 15)
    counts = (rng.random((masks, classes)) < rng.uniform(0.1, 0.9) / (1 + np.arange(classes))**rng.uniform(0, 1.5))
    if seed % 3 == 0:  # whole masks out of the same few pieces: exact ties everywhere
        counts = counts * 2**rng.integers(0, 3, (masks, classes))
    else:
        counts = counts * rng.integers(1, 10**rng.integers(1, 6), (masks, classes))
    if seed % 2:
        counts = counts[rng.integers(0, masks, masks)]
    counts[rng.integers(0, masks, 2)] = 0
    counts[0, 0] += 1
    return counts


@pytest.mark.parametrize('seed', RANDOM)
def test_lazy_is_plain_greedy(seed):
    counts = random_counts(seed)
    rng = np.random.default_rng(1000 + seed)
    tau, density = float(rng.choice([1e-4, 0.01, 0.3, 5.0])), float(rng.choice([0, 0.03, 0.5]))
    presence = dict(min_area=int(rng.choice([0, 1, 3])), min_fraction=float(rng.choice([0, 0.001, 0.05])))
    usable = np.flatnonzero(counts.any(1))
    init = rng.permutation(usable)[:rng.integers(0, 1 + len(usable) // 4)].tolist() if seed % 4 == 0 else None
    for budget in {max(1, len(init or [])), max(len(usable) // 2, len(init or []), 1), len(usable)}:
        fitted = ClassBalancedGreedy(budget, tau=tau, density=density, init=init, **presence).fit(counts)
        assert fitted.selected_.tolist() == naive(counts, budget, tau, init or (), density, **presence)
        assert fitted.objective_ == pytest.approx(
            objective(shares(counts, **presence), fitted.selected_, tau, density))
        assert fitted.gains_.sum() == pytest.approx(fitted.objective_)


@pytest.mark.parametrize('seed', RANDOM)
def test_masks_nearer_than_the_gap_are_left_out(seed):
    counts, rng = random_counts(seed), np.random.default_rng(2000 + seed)
    usable, gap = np.flatnonzero(counts.any(1)), int(rng.integers(2, 9))
    init = rng.permutation(usable)[:3].tolist() if seed % 4 == 0 else []
    for budget in {max(1, len(init)), max(len(usable) // 6, len(init), 1), max(len(usable) // 2, len(init))}:
        selector = ClassBalancedGreedy(budget, tau=0.02, min_gap=gap, init=init)
        if (expected := naive(counts, budget, 0.02, init, min_gap=gap)) is None:
            with pytest.raises(DistillError, match=rf'^min_gap={gap} leaves no further mask after \d+ of {budget}: '
                                                   'lower it or the budget$'):
                selector.fit(counts)
        else:
            assert selector.fit(counts).selected_.tolist() == expected


@pytest.mark.parametrize('seed', range(20))
def test_an_automatic_gap_never_exhausts_the_masks(seed):
    """The masks hardly change, a third of them are empty, and the first half of the budget is at random places."""
    rng = np.random.default_rng(seed)
    drift = np.exp(rng.normal(0, 0.05, (90, 6)).cumsum(0))
    counts = (1000 * drift * (rng.random((90, 1)) > 0.3)).astype(int)
    usable = np.flatnonzero(counts.any(1))
    for budget in (1, 2, 5, 9, 20, len(usable)):
        init = rng.permutation(usable)[:budget // 2].tolist()
        fitted = ClassBalancedGreedy(budget, init=init).fit(counts)
        assert len(set(fitted.selected_)) == budget
        new = fitted.selected_[len(init):]
        assert all(abs(i - j) >= fitted.min_gap_ for i in new for j in fitted.selected_ if i != j)
    assert ClassBalancedGreedy(5).fit(counts).min_gap_ > 1 == ClassBalancedGreedy(len(usable)).fit(counts).min_gap_


@pytest.mark.parametrize('gap', [0, -1, 1.5, 'none', None, True])
def test_bad_gap(gap):
    with pytest.raises(DistillError, match='ClassBalancedGreedy.min_gap'):
        ClassBalancedGreedy(1, min_gap=gap).fit([[1, 1]])


def test_lazy_equals_plain_greedy_with_few_stale_bounds():
    """More masks than the list of best bounds holds, so that selected ones come from outside of it."""
    rng = np.random.default_rng(5)
    counts = (rng.random((3000, 30)) < 1.5 / (1 + np.arange(30))) * rng.integers(1, 5000, (3000, 30))
    assert ClassBalancedGreedy(150, tau=0.01).fit(counts).selected_.tolist() == naive(counts, 150, 0.01)


def test_equal_masks_are_taken_in_their_order():
    counts = np.tile([[3, 1, 4, 0]], (200, 1))
    assert ClassBalancedGreedy(70).fit(counts).selected_.tolist() == list(range(70))
    assert RarestClassFirst(70).fit(counts).selected_.tolist() == list(range(70))


def test_ties_but_for_rounding_go_to_the_lowest_index():
    """The same shares on other classes: equal gains, whatever the order of the sum."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        row = rng.integers(1, 1000, 9)
        counts = np.array([rng.permutation(row) for _ in range(200)])
        assert ClassBalancedGreedy(1, tau=0.07).fit(counts).selected_.tolist() == [0]


@pytest.mark.parametrize('seed', range(25))
def test_bound_against_the_best_selection(seed):
    rng = np.random.default_rng(seed)
    counts = (rng.random((9, 6)) < 0.4) * rng.integers(1, 100, (9, 6))
    counts[:, 0] += 1
    for budget in (2, 3, 4):
        fitted = ClassBalancedGreedy(budget, tau=0.05).fit(counts)
        best = max(objective(shares(counts), chosen, 0.05) for chosen in itertools.combinations(range(9), budget))
        assert (1 - 1 / np.e) * best <= fitted.objective_ <= best * (1 + 1e-9)
        if budget == 2:
            assert fitted.gains_[0] == pytest.approx(max(objective(shares(counts), [i], 0.05) for i in range(9)))


def test_gains_add_up_and_diminish():
    for seed in range(10):
        counts = random_counts(seed)
        fitted = ClassBalancedGreedy(int(counts.any(1).sum())).fit(counts)
        assert fitted.gains_.sum() == pytest.approx(fitted.objective_)
        assert (np.diff(fitted.gains_) <= 1e-9).all()


def test_the_objective_has_diminishing_returns():
    """A mask adds no more to a larger selection: F is submodular, and monotone."""
    rng = np.random.default_rng(0)
    counts = random_counts(1)
    usable = np.flatnonzero(counts.any(1))

    def value(chosen):
        return ClassBalancedGreedy(len(chosen), tau=0.02, init=list(chosen)).fit(counts).objective_

    for _ in range(40):
        masks = rng.permutation(usable)
        few, more, new = masks[:2], masks[:5], masks[5]
        gain_few = value([*few, new]) - value(few)
        gain_more = value([*more, new]) - value(more)
        assert gain_few >= gain_more - 1e-12 and gain_more >= -1e-12


def test_init_gains_are_those_of_its_order():
    counts = random_counts(2)
    chosen = np.flatnonzero(counts.any(1))[:4].tolist()
    fitted = ClassBalancedGreedy(6, tau=0.1, init=chosen).fit(counts)
    values = [objective(shares(counts), chosen[:n], 0.1) for n in range(5)]
    np.testing.assert_allclose(fitted.gains_[:4], np.diff(values), atol=1e-12)


def long_tail():
    """1000 masks, 20 classes; the rarest quarter has 1 % of the pixels."""
    rng = np.random.default_rng(3)
    shown = rng.random((1000, 20)) < np.minimum(1.2 / (1 + np.arange(20)), 1)
    counts = shown * rng.integers(1, 100, (1000, 20)) * np.where(np.arange(20) < 5, 100, 5)
    counts[:, 0] += 1
    return counts


@pytest.mark.parametrize('selector', [ClassBalancedGreedy(0.03), RarestClassFirst(0.03)])
def test_rare_classes_are_lifted(selector):
    counts = long_tail()
    h = shares(counts)
    selected = selector.fit(counts).selected_
    rare = np.argsort(h.sum(0))[:5]
    assert (h[selected] > 0).any(0).all()
    assert h[selected][:, rare].mean() > 5 * h[:, rare].mean()


def test_density_prefers_scenes_of_many_classes():
    """Two masks that each have half of the picture of their own rare class, against ones with a little of all."""
    rare = [[50, 50, 0, 0], [50, 0, 50, 0], [50, 0, 0, 50]]
    dense = [[85, 5, 5, 5], [86, 4, 5, 5]]
    counts = np.array(rare + dense)
    assert set(ClassBalancedGreedy(2, tau=1.0).fit(counts).selected_) <= {0, 1, 2}
    assert set(ClassBalancedGreedy(2, tau=1.0, density=0.2).fit(counts).selected_) == {3, 4}


@pytest.mark.parametrize('density', [-0.1, np.inf, 'auto', None])
def test_bad_density(density):
    with pytest.raises(DistillError, match='ClassBalancedGreedy.density'):
        ClassBalancedGreedy(1, density=density).fit([[1, 1]])


def test_auto_tau_is_the_median_class_of_one_mask():
    counts = long_tail()
    fitted = ClassBalancedGreedy(5).fit(counts)
    assert fitted.tau_ == pytest.approx(np.median(shares(counts).mean(0)))
    absent = np.hstack((counts, np.zeros((len(counts), 30), int)))
    assert ClassBalancedGreedy(5).fit(absent).tau_ == pytest.approx(fitted.tau_)
    explicit = ClassBalancedGreedy(5, tau=fitted.tau_).fit(counts)
    np.testing.assert_array_equal(explicit.selected_, fitted.selected_)


@pytest.mark.parametrize('tau', [0, -1.0, float('nan'), float('inf'), 'mean', True])
def test_bad_tau(tau):
    with pytest.raises(DistillError, match='tau'):
        ClassBalancedGreedy(2, tau=tau).fit(long_tail())


def naive_rarest(counts, budget, init=()):
    h, usable = shares(counts), np.asarray(counts).any(1)
    chosen, amount = list(init), np.zeros(h.shape[1])
    for i in chosen:
        amount = amount + h[i]
    while len(chosen) < budget:
        free = [i for i in range(len(h)) if usable[i] and i not in chosen]
        classes = [c for c in range(h.shape[1]) if any(h[i, c] > 0 for i in free)]
        if classes:
            c = min(classes, key=lambda c: (amount[c], c))
            chosen.append(min(free, key=lambda i: (-h[i, c], i)))
        else:
            chosen.append(free[0])
        amount = amount + h[chosen[-1]]
    return chosen


@pytest.mark.parametrize('seed', RANDOM)
def test_rarest_class_first_is_its_definition(seed):
    counts = random_counts(seed)
    usable = np.flatnonzero(counts.any(1))
    init = usable[-2:].tolist() if seed % 4 == 0 and len(usable) > 4 else []
    for budget in {max(1, len(init)), max(len(usable) // 2, len(init), 1), len(usable)}:
        fitted = RarestClassFirst(budget, init=init).fit(counts)
        assert fitted.selected_.tolist() == naive_rarest(counts, budget, init)
