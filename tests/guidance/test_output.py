"""``update='output'`` and ``step='noise'`` against closed forms and loops in float64."""
import math

import pytest
import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler,
                       UniPCMultistepScheduler)

from mmdistill.errors import DistillError
from mmdistill.generation import ClassifierFreeGuidance, Condition, NoiseProcess, sample
from mmdistill.guidance import Guidance, TransportMatching
from mmdistill.plan import Request
from tests.guidance.test_base import PROCESSES, Const, energy, parts  # noqa: F401

STEPS = 10
SCHEDULERS = {
    'ddim-epsilon': DDIMScheduler(clip_sample=False), 'ddim-v': DDIMScheduler(clip_sample=False,
                                                                             prediction_type='v_prediction'),
    'ddpm': DDPMScheduler(clip_sample=False), 'dpm': DPMSolverMultistepScheduler(),
    'sde': DPMSolverMultistepScheduler(algorithm_type='sde-dpmsolver++', prediction_type='v_prediction'),
    'dpm-sample': DPMSolverMultistepScheduler(prediction_type='sample'),
    'unipc': UniPCMultistepScheduler(prediction_type='v_prediction'), 'flow': FlowMatchEulerDiscreteScheduler()}


class Squares:
    """The squared distance to a target, in latents: its gradient by x0 is 2 (x0 - target)."""
    space, weight, target = 'latent', 0.7, 0.5

    def __call__(self, x, batch):
        return (x - self.target).square().flatten(1).sum(1)


def network(x, t, condition):
    return torch.tanh(x) * 0.8 + 0.1 * torch.sin(t / 300).view(-1, 1, 1, 1) + condition['level'].view(-1, 1, 1, 1)


def batch(rows=2):
    level = torch.linspace(-0.3, 0.6, rows).double()
    noise = torch.randn(rows, 2, 3, 3, generator=torch.Generator().manual_seed(3)).double()
    return noise, Condition(dict(level=level), dict(level=torch.zeros_like(level)))


def levels(scheduler, t, i):
    """alpha and sigma from the stock scheduler's own tables."""
    if isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        return 1 - float(scheduler.sigmas[i]), float(scheduler.sigmas[i])
    if isinstance(scheduler, (DDIMScheduler, DDPMScheduler)):
        kept = float(scheduler.alphas_cumprod[int(t)])
        return math.sqrt(kept), math.sqrt(1 - kept)
    ratio = float(scheduler.sigmas[i])
    return 1 / math.sqrt(1 + ratio**2), ratio / math.sqrt(1 + ratio**2)


def clean(scheduler, x, out, alpha, sigma):
    """x0 of an output, as the papers write it."""
    return dict(epsilon=lambda: (x - sigma * out) / alpha, sample=lambda: out,
                v_prediction=lambda: alpha * x - sigma * out).get(
                    scheduler.config.get('prediction_type'), lambda: x - sigma * out)()


def reference(scheduler, noise, condition, steps, scale, rule):
    """The loop of CRFM over a stock scheduler: gradient by the output, by autograd."""
    scheduler = type(scheduler).from_config(scheduler.config)
    scheduler.set_timesteps(STEPS)
    generators = [torch.Generator().manual_seed(n) for n in range(len(noise))]
    x = noise
    for i, t in enumerate(scheduler.timesteps):
        uncond, cond = (network(x, t.expand(len(x)), one) for one in (condition.null(), condition))
        out = (uncond + 2.5 * (cond - uncond)).detach().requires_grad_()
        if i in steps:
            alpha, sigma = levels(scheduler, t, i)
            x0 = clean(scheduler, x, out, alpha, sigma)
            (gradient, ) = torch.autograd.grad(0.7 * (x0 - 0.5).square().sum(), out)
            sizes = scale
            if rule == 'noise':
                eps = (x - alpha * x0.detach()) / sigma
                sizes = torch.stack([scale * sigma * e.norm() / g.norm() for e, g in zip(eps, gradient)])
                sizes = sizes.view(-1, 1, 1, 1)
            out = out - sizes * gradient
        extra = {} if isinstance(scheduler, UniPCMultistepScheduler) else dict(generator=generators)
        x = scheduler.step(out.detach(), t, x, **extra).prev_sample
    return x


@pytest.mark.parametrize('rule, settings', [('none', dict(norm='none')), ('noise', dict(norm='unit', step='noise'))])
@pytest.mark.parametrize('name', SCHEDULERS)
def test_the_loop_is_the_references(name, rule, settings):
    noise, condition = batch()
    process, scale = NoiseProcess(SCHEDULERS[name], STEPS), 0.1
    guidance = Guidance([Squares()], window=(0.4, 0.8), scale=scale, update='output', **settings)
    ours = sample(network, process, noise, condition, cfg=ClassifierFreeGuidance(2.5), guidance=guidance,
                  generators=[torch.Generator().manual_seed(n) for n in range(2)])
    expected = reference(SCHEDULERS[name], noise, condition, range(4, 8), scale, rule)
    plain = reference(SCHEDULERS[name], noise, condition, (), scale, rule)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    assert (ours - plain).abs().max() > 1e-3  # and guidance did something


@pytest.mark.parametrize('kind, slope', [
    ('epsilon', lambda a, s: -s / a), ('v_prediction', lambda a, s: -s), ('sample', lambda a, s: 1.0)])
@pytest.mark.parametrize('through', ['x0', 'xt'])
def test_closed_forms(kind, slope, through):
    process = NoiseProcess(DDPMScheduler(clip_sample=False, prediction_type=kind), STEPS)
    i, direction = 3, torch.randn(2, 2, 3, 3).double()
    kept = float(DDPMScheduler().alphas_cumprod[int(process.timesteps[i])])
    alpha, sigma = math.sqrt(kept), math.sqrt(1 - kept)
    x = torch.randn(2, 2, 3, 3).double().requires_grad_()
    # A predicted noise that does not depend on x: then both gradients are one.
    x0 = (x - sigma * torch.randn(2, 2, 3, 3).double()) / alpha
    guidance = Guidance([Const(direction)], scale=0.3, norm='none', update='output', through=through)
    shift, _ = guidance.shift(x, x0, None, i, process)
    torch.testing.assert_close(shift, -0.3 * slope(alpha, sigma) * direction, rtol=1e-5, atol=1e-8)


def test_epsilon_through_the_network_is_classifier_guidance():
    """epsilon + scale sqrt(1 - abar) grad_{z_t} L (Dhariwal & Nichol)."""
    noise, condition = batch()
    process, i = NoiseProcess(DDPMScheduler(clip_sample=False), STEPS), 5
    kept = float(DDPMScheduler().alphas_cumprod[int(process.timesteps[i])])
    x = noise.clone().requires_grad_()
    x0 = process.x0(x, network(x, process.timesteps[i].expand(2), condition), i)
    (gradient, ) = torch.autograd.grad(Squares()(x0, None).sum() * 0.7, x, retain_graph=True)
    shift, _ = Guidance([Squares()], scale=2.0, norm='none', update='output', through='xt').shift(x, x0, None, i,
                                                                                                process)
    torch.testing.assert_close(shift, 2.0 * math.sqrt(1 - kept) * gradient, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize('scheduler', PROCESSES, ids=lambda s: f'{type(s).__name__}-{s.config.get("prediction_type")}')
def test_it_is_a_shift_of_x0_by_the_slope(scheduler):
    """With a gradient of unit length, ``'output'`` at a scale is ``'x0'`` at the scale times |dx0/dy|."""
    noise, condition = batch()
    run = lambda update, scale: sample(  # noqa: E731
        network, NoiseProcess(scheduler, STEPS), noise, condition,
        guidance=Guidance([Squares()], window=(0.2, 0.3), scale=scale, update=update))
    slope = abs(NoiseProcess(scheduler, STEPS).slope(2))
    torch.testing.assert_close(run('output', 0.4), run('x0', 0.4 * slope), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('scheduler', PROCESSES, ids=lambda s: f'{type(s).__name__}-{s.config.get("prediction_type")}')
@pytest.mark.parametrize('update, through', [('output', 'x0'), ('output', 'xt')])
def test_gradient_by_the_output_of_both_objectives(parts, scheduler, update, through):  # noqa: F811
    """Of pixels and features, through decoder and networks, by finite differences along the output."""
    denoiser, decoder, objectives, condition = parts
    process, i = NoiseProcess(scheduler, STEPS), 6
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64).requires_grad_(through == 'xt')
    out = denoiser(x, process.timesteps[i], condition)
    x0 = process.x0(x, out, i)
    shift = Guidance(objectives, scale=1.0, norm='none', update=update, through=through).shift(
        x, x0, condition, i, process, decoder)[0]
    with torch.no_grad():
        for direction in torch.eye(x.numel(), dtype=torch.float64).view(-1, *x.shape)[::5]:
            if through == 'x0':
                values = [process.x0(x, out + h * direction, i) for h in (1e-6, -1e-6)]
            else:
                values = [process.x0(y, denoiser(y, process.timesteps[i], condition), i)
                          for y in (x + 1e-6 * direction, x - 1e-6 * direction)]
            ahead, behind = (energy(objectives, decoder, value, condition) for value in values)
            factor = 1.0 if through == 'x0' else process.alphas[i] * process.slope(i)
            assert -(shift * direction).sum().item() == pytest.approx(
                factor * (ahead - behind).item() / 2e-6, rel=1e-4, abs=1e-7)


def test_transport_by_the_output():
    requests = [Request(f'0/{n}', n, classes=(0, )) for n in range(2)]
    supports = {0: torch.randn(3, 2, 3, 3).numpy()}
    transport = TransportMatching(supports, {0: torch.full((3, ), 1 / 3).numpy()}, requests)
    process = NoiseProcess(SCHEDULERS['flow'], STEPS)
    condition = Condition(dict(level=torch.zeros(1)), requests=(requests[0], ))
    x, out = torch.randn(1, 2, 3, 3).double(), torch.randn(1, 2, 3, 3).double().requires_grad_()
    shift, _ = Guidance([transport], scale=0.2, norm='none', update='output').shift(
        x, process.x0(x, out.detach(), 4), condition, 4, process)
    (gradient, ) = torch.autograd.grad(transport(process.x0(x, out, 4), condition).sum(), out)
    torch.testing.assert_close(shift, -0.2 * gradient)
    assert shift.abs().max() > 0


@pytest.mark.parametrize('update', ['x0', 'prev', 'output'])
@pytest.mark.parametrize('name', ['ddim-epsilon', 'ddim-v', 'flow'])
def test_the_length_of_a_step_by_noise(name, update):
    """scale sqrt(1 - abar) ||eps|| / ||grad|| times the gradient; a sample without one stays."""
    process, i = NoiseProcess(SCHEDULERS[name], STEPS), 4
    gradient, x0, eps = (torch.randn(3, 2, 4, 4).double() for _ in range(3))
    gradient[1] = 0
    alpha, sigma = levels(process._scheduler, process.timesteps[i], i)
    shift, _ = Guidance([Const(gradient)], scale=0.3, update=update, step='noise').shift(
        alpha * x0 + sigma * eps, x0, None, i, process)
    sign = 1 if update == 'output' else -1  # moving noise or flow one way moves x0 the other
    for row in (0, 2):
        expected = sign * 0.3 * sigma * eps[row].norm() / gradient[row].norm() * gradient[row]
        torch.testing.assert_close(shift[row], expected, rtol=1e-5, atol=1e-8)
    assert not shift[1].any()


def test_a_learned_variance_is_kept():
    scheduler = DDPMScheduler(variance_type='learned_range', clip_sample=False)
    wide = lambda x, t, condition: torch.cat([network(x, t, condition), 0.3 * torch.ones_like(x)], 1)  # noqa: E731
    noise, condition = batch()
    seeds = lambda: [torch.Generator().manual_seed(n) for n in range(2)]  # noqa: E731
    run = lambda **settings: sample(wide, NoiseProcess(scheduler, STEPS), noise, condition,  # noqa: E731
                                    generators=seeds(), guidance=Guidance([Squares()], window=(0, 0.5), **settings))
    slope = NoiseProcess(scheduler, STEPS).slope
    torch.testing.assert_close(run(update='output', scale=0.0), run(update='x0', scale=0.0), rtol=1e-5, atol=1e-6)
    assert slope(0) < -1 and (run(update='output', scale=0.1) - run(update='x0', scale=0.0)).abs().max() > 1e-3


@pytest.mark.parametrize('settings, say', [
    (dict(update='output', through='linear'), r"update='output' needs the gradient.*set through='x0'"),
    (dict(step='noise', norm='rms'), r"step='noise' sets the length of the shift, so norm='rms'.*set norm='unit'")])
def test_settings_that_do_not_go_together(settings, say):
    with pytest.raises(DistillError, match=say):
        Guidance([Squares()], **settings)


def test_the_first_part_of_the_steps():
    """CRFM's four of 23."""
    guidance = Guidance([Squares()], window=(0, 4 / 23))
    assert list(guidance.steps(23)) == [0, 1, 2, 3]
