import numpy as np
import pytest
import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler,
                       UniPCMultistepScheduler)

from mmdistill.generation import ClassifierFreeGuidance, Condition, NoiseProcess, sample
from mmdistill.guidance import Guidance

VP = dict(beta_schedule='scaled_linear', beta_start=0.00085, beta_end=0.012)
SCHEDULERS = dict(
    ddim=(DDIMScheduler, dict(VP, clip_sample=False, set_alpha_to_one=True)),
    ddpm=(DDPMScheduler, dict(VP, clip_sample=False)),
    dpm=(DPMSolverMultistepScheduler, VP),
    sde=(DPMSolverMultistepScheduler, dict(VP, algorithm_type='sde-dpmsolver++')),
    unipc=(UniPCMultistepScheduler, VP),
    flow=(FlowMatchEulerDiscreteScheduler, {}))


class Net(torch.nn.Module):
    """A smooth network that reads its condition."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(5, 4, 3, padding=1).requires_grad_(False)

    def forward(self, x, t, condition):
        level = (condition['level'] + t / 1000).view(-1, 1, 1, 1).to(x).expand(-1, 1, *x.shape[2:])
        return x * 0.7 + 0.3 * torch.tanh(self.conv(torch.cat([x, level], 1)))


class Pull:
    """Squared distance to a value."""
    space, weight = 'latent', 1.0

    def __call__(self, x, batch):
        return (x - 0.5).square().flatten(1).sum(1)


def inputs(rows=(0, 1, 2)):
    noise = torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(1))[list(rows)]
    level = torch.tensor([0.3, -0.2, 0.9])[list(rows)]
    return noise, Condition(dict(level=level), dict(level=torch.zeros_like(level)))


def seeds(rows=3):
    return [torch.Generator().manual_seed(n) for n in range(rows)]


def process_of(name, steps=12):
    cls, config = SCHEDULERS[name]
    return NoiseProcess(cls(**config), steps)


@pytest.mark.parametrize('name', SCHEDULERS)
@pytest.mark.parametrize('scale', [1.0, 3.0])
def test_unguided_is_stock_stepping(name, scale):
    noise, condition = inputs()
    net = Net()
    ours = sample(net, process_of(name), noise, condition, cfg=ClassifierFreeGuidance(scale), generators=seeds())
    cls, config = SCHEDULERS[name]
    scheduler = cls(**config)
    scheduler.set_timesteps(12)
    x, generators = noise, seeds()
    for t in scheduler.timesteps:
        cond = net(x, t.expand(3), condition)
        uncond = net(x, t.expand(3), condition.null())
        out = cond if scale == 1 else uncond + scale * (cond - uncond)
        extra = {} if name == 'unipc' else dict(generator=generators)
        x = scheduler.step(out, t, x, **extra).prev_sample
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', SCHEDULERS)
def test_a_shift_of_zero_changes_nothing(name):
    noise, condition = inputs()
    plain = sample(Net(), process_of(name), noise, condition, generators=seeds())
    guided = sample(Net(), process_of(name), noise, condition, generators=seeds(),
                    guidance=Guidance([Pull()], scale=0.0, window=(0, 1)))
    torch.testing.assert_close(guided, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', SCHEDULERS)
@pytest.mark.parametrize('through', ['x0', 'xt'])
@pytest.mark.parametrize('update', ['x0', 'prev', 'output'])
def test_guidance_lowers_its_loss(name, through, update):
    noise, condition = inputs()
    plain = sample(Net(), process_of(name), noise, condition, generators=seeds())
    guidance = Guidance([Pull()], scale=1.0, through=through, update=update)
    guided = sample(Net(), process_of(name), noise, condition, generators=seeds(), guidance=guidance)
    assert (Pull()(guided, None) < Pull()(plain, None)).all()
    assert not guided.requires_grad


@pytest.mark.parametrize('name', SCHEDULERS)
@pytest.mark.parametrize('through', ['x0', 'xt'])
def test_a_sample_does_not_depend_on_its_batch(name, through):
    run = lambda rows: sample(  # noqa: E731
        Net(), process_of(name), *inputs(rows), cfg=ClassifierFreeGuidance(2.0),
        generators=[seeds()[n] for n in rows], guidance=Guidance([Pull()], through=through))
    together = run([0, 1, 2])
    for n in range(3):
        torch.testing.assert_close(run([n])[0], together[n], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', SCHEDULERS)
def test_a_process_forgets_its_last_batch(name):
    noise, condition = inputs()
    process = process_of(name)
    first = sample(Net(), process, noise, condition, generators=seeds())
    assert torch.equal(sample(Net(), process, noise, condition, generators=seeds()), first)


def watched(process, after):
    """The process, which calls ``after(i, x0)`` after each step with the x0 of the step."""
    step = process.step

    def watched_step(out, i, x, *args):
        following = step(out, i, x, *args)
        after(i, process.x0(x, out, i))
        return following

    process.step = watched_step
    return process


@pytest.mark.parametrize('name', ['dpm', 'unipc'])
def test_multistep_solvers_store_guided_predictions(name):
    noise, condition = inputs()
    process, seen = process_of(name), {}
    guidance = Guidance([Pull()], scale=2.0, window=(0.5, 0.6))  # step 6 of 12 alone

    def after(i, x0):
        seen[i] = (x0, [m.clone() for m in process._scheduler.model_outputs if m is not None])

    sample(Net(), watched(process, after), noise, condition, guidance=guidance)
    guided, memory = seen[6][0], seen[7][1]
    torch.testing.assert_close(memory[-2], guided, rtol=1e-4, atol=1e-5)
    assert (seen[6][0] - seen[5][0]).abs().max() > 0.01


@pytest.mark.parametrize('name,steps', [('ddim', 500), ('ddpm', 500), ('dpm', 40), ('unipc', 40), ('flow', 200)])
def test_a_gaussian_gets_its_mean_and_variance(name, steps):
    """The exact denoiser of N(m, s^2) has to give samples of N(m, s^2), and DDPM fresh noise of the right size."""
    mean, std, rows = 1.5, 0.6, 4
    cls, config = SCHEDULERS[name]
    # Linear betas end at pure noise; Stable Diffusion's keep 7 % of the mean, which noise of mean 0 then lacks.
    process = NoiseProcess(cls(**{k: v for k, v in config.items() if k not in VP}), steps)
    index = {t: i for i, t in enumerate(process.timesteps.tolist())}

    def denoiser(x, t, condition):
        i = index[t[0].item()]
        alpha, sigma = process.alphas[i], process.sigmas[i]
        x0 = mean + alpha * std**2 / (alpha**2 * std**2 + sigma**2) * (x - alpha * mean)
        return process.to_output(x, x0, x, i)

    noise = torch.randn(rows, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    condition = Condition(dict(mask=torch.zeros(rows, 1)))
    x = sample(denoiser, process, noise, condition, generators=seeds(rows))
    assert x.mean().item() == pytest.approx(mean, abs=0.02)
    assert x.std().item() == pytest.approx(std, rel=0.03)


class LearnedVariance(torch.nn.Module):
    """A smooth float64 network of 4 channels that also predicts their variances, as 4 more channels around [-1, 1]."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(5, 8, 3, padding=1).double().requires_grad_(False)

    def forward(self, x, t, condition):
        level = (condition['level'] + t / 1000).view(-1, 1, 1, 1).to(x).expand(-1, 1, *x.shape[2:])
        return torch.tanh(self.conv(torch.cat([x, level], 1))) * 1.2


def reference_of_dit(net, x, condition, generators, scale, channels):
    """x0 of all 50 steps and the end, in float64, from the papers' equations.

    Steps, respaced betas and learned variances: arXiv 2102.09672, section 4 (evenly spaced numbers from 1 to T,
    rounded) and equations 15 and 19; posterior: arXiv 2006.11239, equations 6 and 7; CFG: DiT's, arXiv 2212.09748.
    """
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))  # alpha bar, kept[t - 1] for t in 1..T
    times = np.rint(np.linspace(1, 1000, 50)).astype(int)
    seen = []
    for k in reversed(range(50)):
        now, before = kept[times[k] - 1], kept[times[k - 1] - 1] if k else 1.0
        beta = 1 - now / before
        t = torch.full((len(x), ), int(times[k]) - 1)  # networks count from 0
        cond, uncond = net(x, t, condition), net(x, t, condition.null())
        eps, v = cond[:, :4].clone(), (cond[:, 4:] + 1) / 2
        eps[:, :channels] = uncond[:, :channels] + scale * (cond - uncond)[:, :channels]
        x0 = (x - np.sqrt(1 - now) * eps) / np.sqrt(now)
        seen.append(x0)
        x = np.sqrt(before) * beta / (1 - now) * x0 + np.sqrt(now / before) * (1 - before) / (1 - now) * x
        if k:
            posterior = (1 - before) / (1 - now) * beta
            std = torch.exp((v * np.log(beta) + (1 - v) * np.log(posterior)) / 2)
            noise = [torch.randn(1, *x.shape[1:], generator=g, dtype=x.dtype) for g in generators]
            x = x + std * torch.cat(noise)
    return seen, x


def dit_process(**changes):
    return NoiseProcess(DDPMScheduler(**dict(dict(variance_type='learned_range', timestep_spacing='linspace',
                                                  clip_sample=False), **changes)), 50)


@pytest.mark.parametrize('channels', [None, 3])
def test_ancestral_steps_are_those_of_the_original_dit(channels):
    noise, condition = inputs()
    noise, net, seen = noise.double(), LearnedVariance(), []
    x = sample(net, watched(dit_process(), lambda i, x0: seen.append(x0)), noise, condition,
               cfg=ClassifierFreeGuidance(4.0, channels), generators=seeds())
    expected, end = reference_of_dit(net, noise, condition, seeds(), 4.0, channels or 4)
    assert len(seen) == 50
    for ours, theirs in zip([*seen, x], [*expected, end]):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()  # the scheduler's alphas are float32
    other = sample(net, dit_process(), noise, condition, cfg=ClassifierFreeGuidance(4.0, 2), generators=seeds())
    assert (other - end).norm() > 1e-2 * end.norm()


def test_only_linspace_takes_the_steps_of_improved_diffusion():
    respaced = (np.rint(np.linspace(1, 1000, 50)) - 1).astype(int)[::-1].tolist()
    assert respaced[:3] == [999, 979, 958] and respaced[-2:] == [20, 0]
    assert dit_process().timesteps.tolist() == respaced
    for spacing in ('leading', 'trailing'):
        assert dit_process(timestep_spacing=spacing).timesteps.tolist() != respaced


@pytest.mark.parametrize('name', SCHEDULERS)
def test_image_to_image_starts_in_the_middle(name):
    noise, condition = inputs()
    steps = []
    process = watched(process_of(name, 10), lambda i, x0: steps.append(i))
    x = sample(Net(), process, process.noisy(torch.zeros_like(noise), noise, 6), condition, generators=seeds(), begin=6)
    assert steps == [6, 7, 8, 9] and x.shape == noise.shape


def test_latents_stay_float32_around_a_bfloat16_network():
    noise, condition = inputs()
    half = Net().bfloat16()
    x = sample(lambda x, t, c: half(x.bfloat16(), t, c), process_of('dpm'), noise, condition,
               cfg=ClassifierFreeGuidance(2.0), guidance=Guidance([Pull()], scale=0.1))
    exact = sample(Net(), process_of('dpm'), noise, condition, cfg=ClassifierFreeGuidance(2.0),
                   guidance=Guidance([Pull()], scale=0.1))
    assert x.dtype == torch.float32
    assert (x - exact).norm() / exact.norm() < 0.03
