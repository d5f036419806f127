"""Point matching: MGD3's step and CoDA's correction against their formulas, written out in float64."""
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from mmdistill.errors import DistillError
from mmdistill.generation import ClassifierFreeGuidance, Condition, NoiseProcess, sample
from mmdistill.guidance import Guidance, PointMatching
from mmdistill.plan import Request

SHAPE, STEPS = (4, 3, 3), 12
PLAN = [Request(f'{label}/{n}', 10 * label + n, classes=(label, )) for n in range(3) for label in range(2)]
RNG = np.random.default_rng(0)
SCHEDULER = DDPMScheduler(clip_sample=False, variance_type='fixed_small', timestep_spacing='linspace')
POINTS = {0: RNG.standard_normal((3, *SHAPE)), 1: RNG.standard_normal((2, *SHAPE))}  # of the second, one is used twice


def condition_of(*requests):
    labels = torch.tensor([float(request.classes[0]) for request in requests])
    return Condition(dict(label=labels), dict(label=torch.full_like(labels, -1.0)), requests)


def point(request):
    number = int(request.id.split('/')[1])
    return torch.from_numpy(POINTS[request.classes[0]][number % len(POINTS[request.classes[0]])])


def network(x, t, condition):
    """A smooth noise prediction in float64."""
    return torch.tanh(0.8 * x + 0.3 * condition['label'].view(-1, 1, 1, 1) + t.view(-1, 1, 1, 1) / 2000)


def process():
    return NoiseProcess(SCHEDULER, STEPS)


def test_loss_and_gradient():
    x = torch.from_numpy(RNG.standard_normal((6, *SHAPE))).requires_grad_()
    losses = PointMatching(POINTS, PLAN)(x, condition_of(*PLAN))
    expected = [0.5 * float(((row.detach() - point(request))**2).sum()) for row, request in zip(x, PLAN)]
    assert losses.tolist() == pytest.approx(expected)
    (gradient, ) = torch.autograd.grad(losses.sum(), x)
    torch.testing.assert_close(gradient, x.detach() - torch.stack([point(request) for request in PLAN]))


def steps(correct=None, after=None, cfg=3.0):
    """Ancestral sampling by its textbook equations in float64, noise from the requests' seeds."""
    scheduler = SCHEDULER
    scheduler.set_timesteps(STEPS)
    kept = scheduler.alphas_cumprod.double()
    randoms = [torch.Generator().manual_seed(request.seed) for request in PLAN]
    x, condition = start(), condition_of(*PLAN)
    times = scheduler.timesteps.tolist()
    for i, t in enumerate(times):
        a, before = kept[t], kept[times[i + 1]] if i + 1 < STEPS else torch.tensor(1.0).double()
        uncond, eps = (network(x, torch.full((len(x), ), t), c) for c in (condition.null(), condition))
        std = ((1 - before) / (1 - a) * (1 - a / before)).sqrt()
        eps = correct(i, x, eps, a, std) if correct else eps
        eps = uncond + cfg * (eps - uncond)
        x0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
        beta = 1 - a / before
        mean = before.sqrt() * beta / (1 - a) * x0 + (a / before).sqrt() * (1 - before) / (1 - a) * x
        noise = torch.stack([torch.randn(SHAPE, generator=g, dtype=torch.float64) for g in randoms]) if t else 0
        following = mean + std * noise
        x = after(i, x0, following, std) if after else following
    return x


def start():
    return torch.from_numpy(np.random.default_rng(5).standard_normal((len(PLAN), *SHAPE)))


def ours(**settings):
    randoms = [torch.Generator().manual_seed(request.seed) for request in PLAN]
    guidance = Guidance([PointMatching(POINTS, PLAN)], norm='none', step='sigma', **settings)
    return sample(network, process(), start(), condition_of(*PLAN), cfg=ClassifierFreeGuidance(3.0),
                  guidance=guidance, generators=randoms)


def test_mgd3_is_its_step():
    modes = torch.stack([point(request) for request in PLAN])

    def after(i, x0, following, std):
        return following + 0.7 * std * (modes - x0) if i < STEPS // 2 else following

    expected = steps(after=after)
    torch.testing.assert_close(ours(update='prev', scale=0.7, window=(0, 0.5)), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(expected, steps(), atol=1e-2)


def test_coda_corrects_the_conditional_noise_before_classifier_free_guidance():
    representatives = torch.stack([point(request) for request in PLAN])

    def correct(i, x, eps, a, std):
        x0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
        return eps - (a / (1 - a)).sqrt() * 0.5 * std * (representatives - x0) if i < round(0.75 * STEPS) else eps

    expected = steps(correct)
    torch.testing.assert_close(ours(update='conditional', scale=0.5, window=(0, 0.75)), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(expected, steps(), atol=1e-2)


def test_without_classifier_free_guidance_the_correction_is_that_of_x0():
    both = [sample(network, process(), start(), condition_of(*PLAN), generators=[
        torch.Generator().manual_seed(request.seed) for request in PLAN], guidance=Guidance(
            [PointMatching(POINTS, PLAN)], update=update, scale=0.3)) for update in ('x0', 'conditional')]
    torch.testing.assert_close(*both)


def test_candidates_of_one_number_have_one_point():
    plan = [Request(f'{n}_{candidate}', 1, classes=(0, ), candidate=candidate) for candidate in range(2)
            for n in range(2)]
    x = torch.zeros(4, *SHAPE, dtype=torch.float64)
    losses = PointMatching(POINTS, plan)(x, condition_of(*plan)).tolist()
    assert losses[:2] == losses[2:] and losses[0] != losses[1]


def test_bad_input():
    with pytest.raises(DistillError, match=r'request x is for classes \[7\]'):
        PointMatching(POINTS, [Request('x', 1, classes=(7, ))])
    with pytest.raises(DistillError, match='request x is not in the plan'):
        PointMatching(POINTS, PLAN)(torch.zeros(1, *SHAPE), condition_of(Request('x', 1, classes=(0, ))))
    with pytest.raises(DistillError, match="update='conditional' needs .* to the clean prediction"):
        Guidance([PointMatching(POINTS, PLAN)], update='conditional', through='linear')
