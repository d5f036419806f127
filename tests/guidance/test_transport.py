"""Transport matching against POT's exact solver, a naive Sinkhorn, finite differences and closed forms."""
import numpy as np
import ot
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation import Condition
from mmdistill.guidance import Guidance, TransportMatching
from mmdistill.plan import Request

SHAPE = (2, 3, 3)
COUNTS = {0: 4, 1: 3, 2: 1}  # support points: the last class has one
PLAN = [Request(f'{label}/{n}', 100 * label + n, classes=(label, )) for n in range(5) for label in COUNTS]


def numbers(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


SUPPORTS = {label: numbers(count, *SHAPE, seed=label).numpy() for label, count in COUNTS.items()}
MASSES = {0: np.array([0.4, 0.3, 0.2, 0.1]), 1: np.array([0.5, 0.25, 0.25]), 2: np.ones(1)}


def build(**settings):
    return TransportMatching(SUPPORTS, MASSES, PLAN, **settings)


def rows_of(*requests):
    return Condition(dict(label=torch.zeros(len(requests))), requests=requests)


def request(label, number):
    return next(r for r in PLAN if r.id == f'{label}/{number}')


def finish(transport, label, count):
    """Remembers ``count`` samples of a class; returns them."""
    latents = numbers(count, *SHAPE, seed=50 + label).float()
    for n in range(count):
        transport.remember(request(label, n), latents[n])
    return latents.double()


def costs(label, x, finished=()):
    """(1 + n, K) float64 by numpy, one pair after the other."""
    source = [np.asarray(row).ravel() for row in (x, *finished)]
    unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
    return np.array([[np.linalg.norm(unit(row) - unit(k.ravel())) for k in SUPPORTS[label]] for row in source])


def naive_sinkhorn(cost, b, epsilon, iterations):
    kernel, a = np.exp(-cost / epsilon), np.full(len(cost), 1 / len(cost))
    v = np.ones(len(b))
    for _ in range(iterations):
        u = a / (kernel @ v)
        v = b / (kernel.T @ u)
    return u[:, None] * kernel * v


@pytest.mark.parametrize('label,count', [(0, 0), (0, 1), (0, 4), (1, 3), (2, 2)])
def test_loss_against_a_naive_sinkhorn(label, count):
    transport = build()
    finished = finish(transport, label, count)
    x = numbers(1, *SHAPE, seed=9)
    cost = costs(label, x[0], finished)
    expected = (naive_sinkhorn(cost, MASSES[label], 0.1, 5) * cost).sum()
    assert transport(x, rows_of(request(label, count))).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('label,count', [(0, 3), (1, 4)])
def test_loss_against_the_exact_solver(label, count):
    transport = build(epsilon=1e-3, iterations=5000)
    finished = finish(transport, label, count)
    x = numbers(1, *SHAPE, seed=9)
    cost = costs(label, x[0], finished)
    exact = ot.emd2(np.full(len(cost), 1 / len(cost)), MASSES[label], cost)
    assert transport(x, rows_of(request(label, count))).item() == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize('epsilon,iterations', [(1e-3, 50), (1e-4, 50), (1e-6, 5)])
def test_a_small_epsilon_overflows_nowhere(epsilon, iterations):
    transport = build(epsilon=epsilon, iterations=iterations)
    finish(transport, 0, 4)
    x = numbers(2, *SHAPE, seed=9).float()
    shift = Guidance([transport], norm='none').shift(None, x, rows_of(request(0, 4), request(2, 0)), 0)[0]
    assert shift.isfinite().all() and (shift[1] != 0).any()


def finite_differences(energy, x, h=1e-6):
    gradient = torch.zeros_like(x)
    for i in range(x.numel()):
        step = torch.zeros_like(x).view(-1).index_fill(0, torch.tensor(i), h).view_as(x)
        gradient.view(-1)[i] = (energy(x + step) - energy(x - step)) / (2 * h)
    return gradient


def gradient(transport, x, condition):
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(transport(leaf, condition).sum(), leaf)[0]


@pytest.mark.parametrize('count', [0, 3])
def test_unrolled_gradient_against_finite_differences(count):
    transport = build(unroll=True)
    finish(transport, 1, count)
    x, condition = numbers(1, *SHAPE, seed=9), rows_of(request(1, count))
    expected = finite_differences(lambda x: transport(x, condition).item(), x)
    torch.testing.assert_close(gradient(transport, x, condition), expected, rtol=1e-5, atol=1e-8)


def test_envelope_gradient_is_that_of_the_regularised_cost():
    transport = build(iterations=3000)
    finished = finish(transport, 0, 3)
    x, condition = numbers(1, *SHAPE, seed=9), rows_of(request(0, 3))

    def regularised(x):
        cost = costs(0, x[0], finished)
        plan = naive_sinkhorn(cost, MASSES[0], 0.1, 3000)
        return (plan * cost).sum() + 0.1 * (plan * np.log(plan)).sum()

    envelope = gradient(transport, x, condition)
    torch.testing.assert_close(envelope, finite_differences(regularised, x), rtol=1e-5, atol=1e-8)
    assert not torch.allclose(gradient(build(iterations=3000, unroll=True), x, condition), envelope, rtol=1e-3)


def test_one_support_point_is_mean_matching():
    transport = build()
    finished = finish(transport, 2, 3)
    x = numbers(1, *SHAPE, seed=9)
    assert transport(x, rows_of(request(2, 3))).item() == pytest.approx(costs(2, x[0], finished).mean())
    alone = gradient(build(), x, rows_of(request(2, 0)))
    torch.testing.assert_close(gradient(transport, x, rows_of(request(2, 3))), alone / 4)


def test_rows_do_not_depend_on_each_other():
    """Different numbers of support points and finished samples in one batch: equal to the bit in float32."""
    transport = build()
    for label, count in ((0, 4), (1, 2)):
        finish(transport, label, count)
    requests = [request(0, 4), request(1, 2), request(2, 0), request(0, 1)]
    x = numbers(4, *SHAPE, seed=9).float()
    losses, gradients = transport(x, rows_of(*requests)), gradient(transport, x, rows_of(*requests))
    for row, one in enumerate(requests):
        alone = x[row:row + 1]
        assert torch.equal(transport(alone, rows_of(one))[0], losses[row])
        assert torch.equal(gradient(transport, alone, rows_of(one))[0], gradients[row])
    swapped = transport(x.flip(0), rows_of(*requests[::-1]))
    assert torch.equal(swapped.flip(0), losses)


def test_later_samples_of_the_class_do_not_count():
    transport, early = build(), build()
    finish(transport, 0, 4)
    finish(early, 0, 2)
    x = numbers(1, *SHAPE, seed=9)
    assert torch.equal(transport(x, rows_of(request(0, 2))), early(x, rows_of(request(0, 2))))


def test_at_a_support_point_the_gradient_is_finite():
    x = torch.from_numpy(SUPPORTS[2][:1].copy())
    assert gradient(build(), x, rows_of(request(2, 0))).isfinite().all()


def test_guidance_moves_samples_towards_the_support_points():
    transport, condition = build(), rows_of(*PLAN[:3])
    x = before = numbers(3, *SHAPE, seed=9)
    guidance = Guidance([transport], norm='unit', scale=0.1)
    for _ in range(20):
        x = x + guidance.shift(None, x, condition, 0)[0]
    assert (transport(x, condition) < transport(before, condition)).all()


def test_bad_input():
    for settings, message in ((dict(epsilon=0), 'epsilon=0 is out of range'), (dict(iterations=0), 'iterations=0')):
        with pytest.raises(DistillError, match=message):
            build(**settings)
    with pytest.raises(DistillError, match=r'request x is for classes \[7\]: plan it for one class of the'):
        TransportMatching(SUPPORTS, MASSES, [Request('x', 1, classes=(7, ))])
    x = torch.zeros(1, *SHAPE)
    with pytest.raises(DistillError, match='x is not in the plan'):
        build()(x, rows_of(Request('x', 12345, classes=(0, ))))
    with pytest.raises(DistillError, match='the request of each row'):
        build()(x, Condition(dict(mask=torch.zeros(1, 8, 8))))
    for latents in (torch.full(SHAPE, float('nan')), torch.zeros(4)):
        with pytest.raises(DistillError, match='request 0/0: finished latents'):
            build().remember(PLAN[0], latents)


def test_candidate_sets_are_matched_apart():
    """Another candidate set is handled like another class: it is neither waited for nor part of the source."""
    plan = [Request(f'{n}_{candidate}', 7, classes=(0, ), candidate=candidate) for candidate in range(2)
            for n in range(2)]
    transport = TransportMatching(SUPPORTS, MASSES, plan)
    x = numbers(1, *SHAPE, seed=9)
    alone = transport(x, rows_of(plan[0]))
    transport.remember(plan[0], numbers(*SHAPE, seed=1).float())
    assert transport.ready(plan[1]) and transport.ready(plan[2]) and not transport.ready(plan[3])
    assert torch.equal(transport(x, rows_of(plan[2])), alone)
    assert not torch.equal(transport(x, rows_of(plan[1])), alone)


def test_a_request_is_ready_after_the_earlier_ones_are_remembered():
    transport = build()
    assert transport.ready(request(0, 0)) and not transport.ready(request(0, 2)) and transport.ready(request(1, 0))
    finish(transport, 0, 1)
    assert transport.ready(request(0, 1)) and not transport.ready(request(0, 2))
    transport.remember(request(0, 2), torch.ones(SHAPE))
    assert not transport.ready(request(0, 3))
    transport.remember(request(0, 1), torch.ones(SHAPE))
    assert transport.ready(request(0, 3))


def test_both_sides_of_the_transport_have_mass_1():
    """The sample and the earlier ones have equal mass, the support points their masses; padding has none."""
    transport = build()
    finish(transport, 0, 2)
    _, source, masses, _ = transport._problem(numbers(2, *SHAPE, seed=9), rows_of(request(0, 2), request(2, 0)))
    assert torch.equal(source, torch.tensor([[1, 1, 1, 0, 0, 0], [3, 0, 0, 0, 0, 0]]).double() / 3)
    torch.testing.assert_close(masses, torch.tensor([[0.4, 0.3, 0.2, 0.1], [1, 0, 0, 0]]).double())
