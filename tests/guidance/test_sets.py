"""Set matching against a naive float64 form, finite differences and its purpose."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from mmdistill.errors import DistillError
from mmdistill.generation import Condition, NoiseProcess
from mmdistill.guidance import Guidance, SetMatching, TransportMatching
from mmdistill.plan import Request

SHAPE = (4, 3, 3)
RNG = np.random.default_rng(0)
SUPPORTS = {0: RNG.standard_normal((3, *SHAPE)), 1: RNG.standard_normal((1, *SHAPE))}
MASSES = {0: np.array([0.5, 0.3, 0.2]), 1: np.ones(1)}
PLAN = [Request(f'{label}/{n}', n, classes=(label, )) for n in range(3) for label in range(2)]  # two classes
CONDITION = Condition(dict(label=torch.zeros(6)), requests=tuple(PLAN))
LEVEL = SimpleNamespace(step=3, timestep=400, alpha=0.6, sigma=0.8)


def latents(seed=1):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((6, *SHAPE)))


def naive(z, label, repulsion, matching, epsilon):
    """The loss of one class's latents (N, ...), one pair after the other."""
    rows = [np.asarray(row).ravel() for row in z]
    kernel = np.array([[a @ b / np.sqrt(a @ a) / np.sqrt(b @ b) for a in rows] for b in rows])
    mean = sum(mass * point for mass, point in zip(MASSES[label], SUPPORTS[label])).ravel()
    error = sum(rows) / len(rows) - LEVEL.alpha * mean
    return (-repulsion * np.log(np.linalg.det(kernel + epsilon * np.eye(len(rows))))
            + matching * (error @ error) / len(error))


@pytest.mark.parametrize('repulsion, matching, epsilon', [(1, 1, 1e-3), (2, 0, 0.1), (0, 3, 1e-3), (0.5, 7, 0.01)])
def test_naive_form_and_finite_differences(repulsion, matching, epsilon):
    objective = SetMatching(SUPPORTS, MASSES, repulsion, matching, epsilon)
    x = latents().requires_grad_()
    losses = objective(x, CONDITION, LEVEL)
    for label in range(2):
        rows = [row for row, request in enumerate(PLAN) if request.classes == (label, )]
        value = naive(x.detach()[rows], label, repulsion, matching, epsilon)
        assert losses[rows].sum().item() == pytest.approx(value) and len({*losses[rows].tolist()}) == 1
    assert torch.autograd.gradcheck(lambda z: objective(z, CONDITION, LEVEL).sum(), x)


def test_each_part_of_the_method_has_its_effect():
    process = NoiseProcess(DDIMScheduler(clip_sample=False), 10)

    def moved(**weights):
        """After 300 small steps at one noise level: cosine of the images of class 0, distance of their mean."""
        guidance = Guidance([SetMatching(SUPPORTS, MASSES, **weights)], norm='none', update='prev', scale=0.3)
        x = 1.0 + 0.3 * latents()  # much alike
        for _ in range(300):
            x = x + guidance.shift(x, x, CONDITION, 5, process)[0]
        rows = x[::2].flatten(1)
        unit = rows / rows.norm(dim=1, keepdim=True)
        mean = torch.from_numpy(np.tensordot(MASSES[0], SUPPORTS[0], 1)).flatten() * process.alphas[5]
        return float((unit @ unit.T).sum() - 3) / 6, float((rows.mean(0) - mean).norm())

    none, both = moved(repulsion=0, matching=0), moved()
    apart, centred = moved(matching=0), moved(repulsion=0)
    assert apart[0] < none[0] - 0.3 and both[0] < none[0] - 0.3
    assert centred[1] < 0.5 * none[1] and both[1] < 0.5 * none[1]


def test_one_image_of_a_class_is_not_pushed():
    x = latents()[:1].requires_grad_()
    batch = Condition(dict(label=torch.zeros(1)), requests=tuple(PLAN[:1]))
    (gradient, ) = torch.autograd.grad(SetMatching(SUPPORTS, MASSES, matching=0)(x, batch, LEVEL).sum(), x)
    assert gradient.abs().max() < 1e-12


def test_two_weights_of_zero_are_refused_in_a_config():
    with pytest.raises(DistillError, match='hook: repulsion=0 and matching=0 leave no loss'):
        SetMatching.check(dict(repulsion=0, matching=0), 'hook')
    for settings in (dict(repulsion=0), dict(matching=0), {}):
        SetMatching.check(settings, 'hook')


def test_guidance_passes_the_noise_level_and_rejects_misfits():
    seen = []

    class Look:
        space, weight = 'noisy', 1.0

        def __call__(self, x, batch, level):
            seen.append(level)
            return x.flatten(1).sum(1)

    process = NoiseProcess(DDIMScheduler(clip_sample=False), 10)
    shift, _ = Guidance([Look()], norm='none', update='prev', scale=2.0, through='xt').shift(
        latents(), latents(2), CONDITION, 4, process)
    assert seen[0].step == 4 and seen[0].timestep == process.timesteps[4]
    assert seen[0].alpha**2 + seen[0].sigma**2 == pytest.approx(1) and (shift == -2).all()
    for update in ('x0', 'output', 'conditional'):
        with pytest.raises(DistillError, match="Look is a loss of the noisy latents.*set update='prev'"):
            Guidance([Look()], update=update)
    with pytest.raises(DistillError, match='SetMatching needs the images of a class generated together, T'):
        Guidance([SetMatching(SUPPORTS, MASSES), TransportMatching(SUPPORTS, MASSES, PLAN)], update='prev')


def test_objectives_of_noisy_and_clean_latents_add_up():
    """With 'linear' both gradients are by the noisy latents."""
    process = NoiseProcess(DDIMScheduler(clip_sample=False), 10)
    transport = lambda: TransportMatching(SUPPORTS, MASSES, PLAN)  # noqa: E731

    class Half:
        space, weight = 'noisy', 0.5

        def __call__(self, x, batch, level):
            return x.square().flatten(1).sum(1)

    settings = dict(norm='none', update='prev', scale=1.0, through='linear')
    x, x0 = latents(), latents(2)
    parts = [Guidance([objective], **settings).shift(x, x0, CONDITION, 4, process)[0]
             for objective in (Half(), transport())]
    both = Guidance([Half(), transport()], **settings).shift(x, x0, CONDITION, 4, process)[0]
    torch.testing.assert_close(both, parts[0] + parts[1])
    torch.testing.assert_close(parts[0], -x)
