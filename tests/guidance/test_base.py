import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler

from mmdistill.errors import DistillError
from mmdistill.generation import ClassifierFreeGuidance, Condition, NoiseProcess, sample
from mmdistill.generation.trace import GuidanceRecord
from mmdistill.guidance import ClassFeatureMatching, ClassStatistics, Guidance, SegmentationConsistency
from mmdistill.plan import Request

K = 4
PROCESSES = [
    DDIMScheduler(clip_sample=False), DDIMScheduler(clip_sample=False, prediction_type='v_prediction'),
    DPMSolverMultistepScheduler(prediction_type='sample'), FlowMatchEulerDiscreteScheduler()]


class Denoiser(torch.nn.Module):

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Tanh(),
                                       torch.nn.Conv2d(8, 2, 3, padding=1))

    def forward(self, x, t, condition):
        mask = torch.nn.functional.interpolate(condition['mask'][:, None].to(x) / 10, x.shape[2:])
        return self.net(torch.cat([x, mask], 1))


@pytest.fixture
def parts():
    """float64 networks: denoiser, decoder, segmentor, extractor, with a batch of two."""
    torch.manual_seed(0)
    denoiser = Denoiser()
    decoder = torch.nn.Sequential(torch.nn.ConvTranspose2d(2, 6, 2, 2), torch.nn.Tanh(),
                                  torch.nn.ConvTranspose2d(6, 3, 2, 2), torch.nn.Tanh())
    first = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, 2, 1), torch.nn.SiLU())
    second = torch.nn.Conv2d(5, K, 3, 1, 1)
    for net in (denoiser, decoder, first, second):
        net.double().requires_grad_(False)
    extractor = lambda x: [first(x), second(first(x))]  # noqa: E731
    mask = torch.randint(0, K, (2, 12, 12))
    mask[0, :3] = 255
    real = torch.rand(3, 3, 12, 12).double()
    statistics = ClassStatistics(K, min_area=0).fit(extractor(real), torch.randint(0, K, (3, 12, 12)))
    objectives = dict(seg=SegmentationConsistency(lambda x: second(first(x)), weight=0.7, class_weight='balanced'),
                      feat=ClassFeatureMatching(extractor, statistics, weight=0.3))
    condition = Condition(dict(mask=mask), dict(mask=torch.full_like(mask, 255)), (Request('a', 1), Request('b', 1)))
    return denoiser, decoder, objectives, condition


def energy(objectives, decoder, x0, condition):
    image = decoder(x0)
    return sum(o.weight * o(image, condition) for o in objectives.values()).sum()


@pytest.mark.parametrize('scheduler', PROCESSES, ids=lambda s: f'{type(s).__name__}-{s.config.get("prediction_type")}')
def test_gradient_through_everything_against_finite_differences(parts, scheduler):
    """Through classifier-free guidance, denoiser, x0, decoder, and both objectives."""
    denoiser, decoder, objectives, condition = parts
    process, i = NoiseProcess(scheduler, 10), 6
    cfg, t = ClassifierFreeGuidance(2.5), process.timesteps[6]
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64).requires_grad_()
    predict = lambda x: process.x0(x, cfg(denoiser, x, t, condition), i)  # noqa: E731
    guidance = Guidance(objectives, scale=1.0, through='xt', norm='none')
    analytic = -guidance.shift(x, predict(x), condition, i, decode=decoder)[0]
    with torch.no_grad():
        for direction in torch.eye(x.numel(), dtype=torch.float64).view(-1, *x.shape)[::5]:
            ahead, behind = (energy(objectives, decoder, predict(x + h * direction), condition) for h in (1e-6, -1e-6))
            assert (analytic * direction).sum().item() == pytest.approx((ahead - behind).item() / 2e-6, rel=1e-5,
                                                                        abs=1e-8)


def test_gradient_of_x0_against_finite_differences(parts):
    _, decoder, objectives, condition = parts
    x0 = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    analytic = -Guidance(objectives, scale=1.0, norm='none').shift(None, x0, condition, 0, decode=decoder)[0]
    for direction in torch.eye(x0.numel(), dtype=torch.float64).view(-1, *x0.shape)[::3]:
        ahead, behind = (energy(objectives, decoder, x0 + s * 1e-6 * direction, condition) for s in (1, -1))
        assert (analytic * direction).sum().item() == pytest.approx((ahead - behind).item() / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize('norm', ['none', 'unit', 'rms'])
def test_a_samples_shift_does_not_depend_on_its_batch(parts, norm):
    _, decoder, objectives, condition = parts
    x0 = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    guidance = Guidance(objectives, norm=norm)
    shift = lambda x0, condition: guidance.shift(None, x0, condition, 0, decode=decoder)[0]  # noqa: E731
    together = shift(x0, condition)
    for n in (0, 1):
        alone = Condition(dict(mask=condition['mask'][n:n + 1]), requests=condition.requests[n:n + 1])
        torch.testing.assert_close(shift(x0[n:n + 1], alone)[0], together[n])


class Const:
    space, weight = 'latent', 1.0

    def __init__(self, gradient):
        self.gradient = gradient

    def __call__(self, x, batch):
        return (x * self.gradient).flatten(1).sum(1)


@pytest.mark.parametrize('size', [1e-30, 1.0, 1e30])
def test_norms(size):
    gradient = torch.randn(3, 2, 4, 4) * size
    gradient[1] = 0
    x0 = torch.zeros(3, 2, 4, 4)
    unit, _ = Guidance([Const(gradient)], scale=2.0).shift(None, x0, None, 0)
    torch.testing.assert_close(unit.flatten(1).norm(dim=1), torch.tensor([2.0, 0.0, 2.0]))
    rms, _ = Guidance([Const(gradient)], scale=2.0, norm='rms').shift(None, x0, None, 0)
    torch.testing.assert_close(rms.square().mean((1, 2, 3)).sqrt(), torch.tensor([2.0, 0.0, 2.0]))
    plain, _ = Guidance([Const(gradient)], scale=2.0, norm='none').shift(None, x0, None, 0)
    torch.testing.assert_close(plain, -2 * gradient)


@pytest.mark.parametrize('update', ['x0', 'prev', 'output'])
def test_a_loss_that_is_not_finite_names_request_and_step(parts, update):
    denoiser, _, _, condition = parts
    gradient = torch.ones(2, 2, 3, 3, dtype=torch.float64)
    gradient[1, 0, 0, 0] = float('nan')
    noise = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    run = lambda gradient, **settings: sample(  # noqa: E731
        denoiser, NoiseProcess(PROCESSES[0], 10), noise, condition,
        guidance=Guidance([Const(gradient)], window=(0.7, 1.0), update=update), **settings)
    with pytest.raises(DistillError, match='request b: the loss of Const is not finite at step 7: check its settings'):
        run(gradient)
    failures = {}
    skipped = run(gradient, failures=failures)
    assert list(failures) == [1] and 'at step 7' in failures[1] and not skipped[1].isfinite().all()
    assert torch.equal(skipped[0], run(torch.ones_like(gradient))[0])  # the other row is what it would be


class Steep:
    """The second row's loss is 0, and its gradient is infinite or not a number."""
    space, weight = 'latent', 1.0

    def __call__(self, x, batch):
        return (x - x.detach()).abs().flatten(1).sum(1) ** torch.tensor([1.0, 0.5])


def test_a_gradient_that_is_not_finite_names_request_and_step(parts):
    denoiser, _, _, condition = parts
    with pytest.raises(DistillError, match='request b: the gradient of the guidance is not finite at step 7: lower'):
        sample(denoiser, NoiseProcess(PROCESSES[0], 10), torch.randn(2, 2, 3, 3, dtype=torch.float64), condition,
               guidance=Guidance([Steep()], window=(0.7, 1.0)))


@pytest.mark.parametrize('scheduler', [DDPMScheduler(clip_sample=False, timestep_spacing='linspace'),
                                       DDIMScheduler(clip_sample=False, prediction_type='v_prediction')])
def test_dmgds_step(parts, scheduler):
    """The mean moves by -rho sigma_t grad_{z_t} L, x0 = (z_t - sqrt(1 - abar) eps) / sqrt(abar) with eps held."""
    process = NoiseProcess(scheduler, 50)
    i, direction = 12, torch.randn(2, 2, 3, 3, dtype=torch.float64)
    t, before = (int(process.timesteps[n]) for n in (i, i + 1))
    kept, kept_before = (float(scheduler.alphas_cumprod[n]) for n in (t, before))
    variance = (1 - kept_before) / (1 - kept) * (1 - kept / kept_before)
    if isinstance(scheduler, DDPMScheduler):
        process.step(torch.zeros(1, 2, 3, 3), 0, torch.zeros(1, 2, 3, 3))
        assert variance == pytest.approx(float(process._scheduler._get_variance(t)), rel=1e-4)
    guidance = Guidance([Const(direction)], scale=0.3, through='linear', update='prev', norm='none', step='sigma')
    shift, _ = guidance.shift(None, torch.randn(2, 2, 3, 3, dtype=torch.float64), None, i, process)
    torch.testing.assert_close(shift, -0.3 * variance**0.5 * direction / kept**0.5, rtol=1e-4, atol=1e-8)
    assert process.posterior_std(49) == 0


@pytest.mark.parametrize('window,every,expected', [
    ((0.25, 1.0), 1, list(range(3, 12))), ((0.0, 0.5), 2, [0, 2, 4]), ((0.5, 0.75), 3, [6]), ((0, 1), 12, [0])])
def test_window(window, every, expected):
    guidance = Guidance([Const(0)], window=window, every=every)
    assert list(guidance.steps(12)) == expected


def test_images_are_decoded_once_and_losses_kept(parts):
    denoiser, decoder, objectives, condition = parts
    calls = []
    noise = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    sample(denoiser, NoiseProcess(PROCESSES[0], 10), noise, condition, guidance=Guidance(objectives, window=(0.5, 1)),
           decode=lambda x: (calls.append(1), decoder(x))[1])
    assert len(calls) == 5
    losses = Guidance(objectives).shift(None, noise, condition, 0, decode=decoder)[1]
    assert all(torch.equal(losses[name], o(decoder(noise), condition)) for name, o in objectives.items())


def test_latent_objectives_need_no_decoder():
    assert Guidance([Const(1.0)]).shift(None, torch.zeros(1, 2, 4, 4), None, 0)[0].shape == (1, 2, 4, 4)


def test_the_network_gets_the_condition_of_semantic_guidance():
    seen, told = [], []

    def denoiser(x, t, condition):
        seen.append((condition['label'].item(), t.item()))
        return x

    def semantic(condition, t):
        told.append(t)
        return Condition(dict(label=condition['label'] + len(told)))

    process = NoiseProcess(PROCESSES[0], 5)
    guidance = Guidance([], window=(0, 1), semantic=semantic)
    assert guidance.steps(5) == range(5, 5)
    sample(denoiser, process, torch.randn(1, 2, 3, 3), Condition(dict(label=torch.tensor([10]))), guidance=guidance)
    assert told == process.timesteps.tolist() and seen == [(11 + i, t) for i, t in enumerate(told)]


@pytest.mark.parametrize('settings,message', [
    (dict(through='eps'), 'through'), (dict(step='beta'), 'step'), (dict(update='eps'), 'update'),
    (dict(norm='l1'), 'norm'),
    (dict(scale=-1), 'scale=-1 is out of range.*at least 0 and finite'), (dict(scale=float('inf')), 'scale'),
    (dict(scale=float('nan')), 'scale'),
    (dict(window=(0.5, 0.5)), 'window'), (dict(window=(0.5, 1.5)), 'window'), (dict(every=0), 'every'),
    (dict(objectives=[]), 'no objectives'), (dict(objectives=[Const(0), Const(1)]), 'two objectives')])
def test_wrong_settings(settings, message):
    with pytest.raises(DistillError, match=message):
        Guidance(**dict(dict(objectives=[Const(0)]), **settings))


class Own:
    """An objective with any loss."""
    space, weight = 'latent', 1.0

    def __init__(self, loss):
        self.loss = loss

    def __call__(self, x, batch):
        return self.loss(x)


@pytest.mark.parametrize('loss,message', [
    (lambda x: x.flatten(2).sum(2), r'Own returned a loss of shape \(2, 3\): return a tensor of shape \(2,\)'),
    (lambda x: x.sum(), r'of shape \(\)'), (lambda x: None, 'a loss of type NoneType'), (lambda x: 1.0, 'type float'),
    (lambda x: x.detach().flatten(1).sum(1), 'the loss of Own does not depend on the first argument')])
def test_losses_that_guide_nothing_are_refused(loss, message):
    with pytest.raises(DistillError, match=message):
        Guidance([Own(loss)]).shift(None, torch.ones(2, 3, 4, 4), None, 0)


def test_a_loss_without_gradient_beside_one_with_it():
    both = dict(one=Own(lambda x: x.flatten(1).sum(1)), other=Own(lambda x: x.new_zeros(len(x))))
    alone = Guidance([both['one']]).shift(None, torch.ones(2, 3, 4, 4), None, 0)[0]
    assert torch.equal(Guidance(both).shift(None, torch.ones(2, 3, 4, 4), None, 0)[0], alone) and alone.abs().max() > 0


@pytest.mark.parametrize('steps,window,every', [(range(10), (0.3, 0.34), 1), (range(8, 10), (0.0, 0.8), 1),
                                                (range(5, 10), (0.0, 1.0), 7 * 2), (range(9, 10), (0.5, 1.0), 3)])
def test_a_window_that_guides_no_step_is_refused(steps, window, every):
    settings = dict(window=window, every=every)
    count = '10 steps' + f'; strength skips the first {steps.start}' * (steps.start > 0)
    with pytest.raises(DistillError, match=rf'hook: window=.* guides none of the steps \({count}\): widen it'):
        Guidance.check(settings, 'hook', steps)
    Guidance.check(settings, 'hook')
    Guidance.check(dict(every=every), 'hook', range(10))


class NearNoise:
    """The squared distance of the noisy latents to a multiple of their level."""
    space, weight = 'noisy', 0.4

    def __call__(self, x, batch, level):
        return (x - 3 * level.sigma).pow(4).flatten(1).sum(1)


@pytest.mark.parametrize('through', ['x0', 'linear', 'xt'])
@pytest.mark.parametrize('scheduler', PROCESSES, ids=lambda s: f'{type(s).__name__}-{s.config.get("prediction_type")}')
def test_clean_and_noisy_objectives_together(parts, scheduler, through):
    """The gradient of the sum of their energies, as a function of what ``through`` does not hold constant."""
    denoiser, decoder, objectives, condition = parts
    process, i, noisy = NoiseProcess(scheduler, 10), 6, NearNoise()
    alpha, sigma, level = process.alphas[i], process.sigmas[i], process.level(i)
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).requires_grad_()
    predict = lambda x: process.x0(x, denoiser(x, process.timesteps[i], condition), i)  # noqa: E731
    x0 = predict(x)
    eps = ((x - alpha * x0) / sigma).detach()
    moved = dict(x0=lambda z: x0.detach() + (z - x.detach()), linear=lambda z: (z - sigma * eps) / alpha, xt=predict)
    z = x.detach().clone().requires_grad_()
    torch.testing.assert_close(moved[through](z), x0)
    total = energy(objectives, decoder, moved[through](z), condition) + 0.4 * noisy(z, condition, level).sum()
    expected, = torch.autograd.grad(total, z)
    guidance = Guidance(dict(objectives, noisy=noisy), through=through, update='prev', scale=0.3, norm='none')
    shift, losses = guidance.shift(x, x0, condition, i, process, decoder)
    torch.testing.assert_close(shift, -0.3 * expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(losses['noisy'], noisy(x, condition, level).detach())
    alone = Guidance([noisy], through=through, update='prev', scale=0.3, norm='none')
    assert not torch.allclose(shift, alone.shift(x, x0, condition, i, process)[0])


@pytest.mark.parametrize('shift', [1.0, 3.0])
def test_the_posterior_of_flow_matching(shift):
    """``step='sigma'``: x_i given x_{i+1} is a Gaussian around alpha_i / alpha_{i+1} x_{i+1}, x_{i+1} given x0 one of
    variance sigma_{i+1}^2, and the precisions of a product of Gaussians add up."""
    steps, last = 12, shift * 0.001 / (1 + (shift - 1) * 0.001)
    shares = [1 + (last - 1) * n / (steps - 1) for n in range(steps)]
    sigmas = [shift * share / (1 + (shift - 1) * share) for share in shares]
    process = NoiseProcess(FlowMatchEulerDiscreteScheduler(shift=shift), steps)
    assert process.sigmas == pytest.approx(sigmas, rel=1e-5)
    direction = torch.ones(1, 2, 3, 3, dtype=torch.float64)
    guidance = Guidance([Const(direction)], scale=0.3, update='prev', norm='none', step='sigma')
    for i in range(steps - 1):
        before, after = sigmas[i], sigmas[i + 1]
        ratio = (1 - before) / (1 - after)
        precision = 1 / after**2 + ratio**2 / (before**2 - (ratio * after)**2)
        assert process.posterior_std(i) == pytest.approx(precision**-0.5, rel=1e-4)
        moved, _ = guidance.shift(None, direction, None, i, process)
        torch.testing.assert_close(moved, -0.3 * precision**-0.5 * direction, rtol=1e-4, atol=0)
    assert process.posterior_std(steps - 1) == 0


ZERO_SNR = dict(clip_sample=False, prediction_type='v_prediction', rescale_betas_zero_snr=True,
                timestep_spacing='trailing')


@pytest.mark.parametrize('scheduler', [FlowMatchEulerDiscreteScheduler(), DDIMScheduler(**ZERO_SNR),
                                       FlowMatchEulerDiscreteScheduler(shift=3.1)])
def test_a_linear_gradient_needs_a_signal(scheduler):
    """1 / alpha is infinite, or a rounding error, at the first step of these processes."""
    process, x = NoiseProcess(scheduler, 8), torch.ones(1, 2, 3, 3, dtype=torch.float64)
    assert process.alphas[0] < 1e-6 < process.alphas[1]
    guidance = Guidance([Const(torch.ones_like(x))], window=(0, 0.5), through='linear', norm='none')
    with pytest.raises(DistillError, match=r"hook: through='linear' divides by the signal, which \w+ sets to 0 at "
                                           r'step 0 of 8: start window at 0\.13 or later, set a strength .*latents'):
        guidance.check_signal(process, 0, 'hook')
    guidance.check_signal(process, 1, 'hook')  # the strength skips the step
    remedied = Guidance([Const(torch.ones_like(x))], window=(0.13, 0.5), through='linear', norm='none')
    remedied.check_signal(process, 0, 'hook')
    assert all(remedied.shift(x, x, None, i, process)[0].isfinite().all() for i in remedied.steps(8))
    Guidance([Const(torch.ones_like(x))], window=(0, 0.5)).check_signal(process, 0, 'hook')
    Guidance([], window=(0, 0.5), through='linear', semantic=lambda c, t: c).check_signal(process, 0, 'hook')
    noisy = Const(1.0)
    noisy.space = 'noisy'
    Guidance([noisy], window=(0, 0.5), through='linear', update='prev').check_signal(process, 0, 'hook')


def test_the_trace_of_guidance(parts):
    """Losses at the first and last guided step, and the size of the steps, row by row, against a loop."""
    denoiser, decoder, objectives, condition = parts
    noise = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    for update in ('x0', 'prev'):
        guidance, seen, record = Guidance(objectives, window=(0.5, 0.8), scale=0.3, update=update), [], GuidanceRecord()
        latents = {}

        def shift(x, x0, *args, guidance=guidance, seen=seen):
            seen.append((x0.detach(), *Guidance.shift(guidance, x0, x0, *args)))
            return seen[-1][1:]

        guidance.shift = shift
        process = NoiseProcess(PROCESSES[0], 10)
        step = process.step
        process.step = lambda out, i, *args, step=step, latents=latents: latents.setdefault(i, step(out, i, *args))
        sample(denoiser, process, noise, condition, guidance=guidance, decode=decoder, record=record)
        assert len(seen) == 3 and record.traces(0) == []
        for row, trace in enumerate(record.traces(2)):
            for name, objective in objectives.items():
                expected = [objective(decoder(x0), condition)[row].item() for x0, _, _ in (seen[0], seen[-1])]
                assert trace.losses[name] == pytest.approx(expected)
            moved = [latents[5 + k] if update == 'prev' else x0 for k, (x0, _, _) in enumerate(seen)]
            rms = lambda x: x[row].square().mean().sqrt().item()  # noqa: B023, E731
            ratios = [rms(by) / rms(what) for (_, by, _), what in zip(seen, moved)]
            assert trace.step == pytest.approx(sum(ratios) / 3)
    assert GuidanceRecord().traces(2) == [None, None]
