"""Greedy progressive matching, batched across classes, against a naive loop over single samples."""
import numpy as np
import ot
import pytest
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from mmdistill.generation import ClassConditionalGenerator
from mmdistill.generation.unets import ClassUNet
from mmdistill.guidance import Guidance, TransportMatching
from mmdistill.plan import Request

CLASSES, IPC, STEPS, SHAPE = 3, 4, 10, (4, 8, 8)
SCALE, WINDOW, EPSILON = 3.0, (3, 7), 0.1  # the scale is large, so that every guided step shows
RNG = np.random.default_rng(0)
MEANS = torch.from_numpy(RNG.standard_normal((CLASSES, *SHAPE))).float()
SUPPORTS = {label: (MEANS[label].numpy() + RNG.standard_normal((5, *SHAPE))).astype(np.float32)
            for label in range(CLASSES)}
MASSES = {label: np.array([0.3, 0.3, 0.2, 0.1, 0.1]) for label in range(CLASSES)}
PLAN = [Request(f'{label}/{n}', 10 * n + label + 1, classes=(label, )) for n in range(IPC) for label in range(CLASSES)]


class Gaussian(torch.nn.Module):
    """The ideal noise prediction of classes that are normal about a mean: contracts, as random networks do not."""

    def __init__(self, scheduler):
        super().__init__()
        self.kept, self.calls = scheduler.alphas_cumprod, []

    def forward(self, x, t, condition):
        self.calls.append(len(x))
        kept = self.kept[t.cpu()].view(-1, 1, 1, 1)
        alpha, variance, spread = kept**0.5, 1 - kept, 0.5
        mean = torch.cat([MEANS, torch.zeros(1, *SHAPE)])[condition['label']]
        x0 = mean + alpha * spread / (kept * spread + variance) * (x - alpha * mean)
        return (x - alpha * x0) / variance**0.5


def build(scheduler, micro_batch):
    torch.manual_seed(0)
    vae = AutoencoderTiny(encoder_block_out_channels=(8, ) * 3, decoder_block_out_channels=(8, ) * 3,
                          num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)).eval()
    unet = ClassUNet(CLASSES, 4, 8, block_out_channels=(16, 32))
    generator = ClassConditionalGenerator(vae, unet, scheduler, image_size=32, num_steps=STEPS, cfg_scale=2.0,
                                          micro_batch=micro_batch)
    generator.denoiser = Gaussian(generator.scheduler)
    return generator


def guidance():
    transport = TransportMatching(SUPPORTS, MASSES, PLAN)
    return Guidance([transport], window=(WINDOW[0] / STEPS, WINDOW[1] / STEPS), scale=SCALE, through='linear',
                    update='prev', norm='none', step='sigma')


def synthesize(generator, batch, upcoming):
    """Request id → latents, for the plan in batches of this size, each with at most one sample per class."""
    guide, latents = guidance(), {}
    for start in range(0, len(PLAN), batch):
        following = PLAN[start + batch:start + batch + upcoming] if upcoming else None
        for made in generator.synthesize(PLAN[start:start + batch], guidance=guide, upcoming=following):
            assert made.error is None and made.image.shape == (32, 32, 3)
            latents[made.request.id] = made.latents
            guide.memories[0].remember(made.request, made.latents)
    return latents


def one_at_a_time(scheduler):
    """The order of the released code: batch size 1, diffusers' scheduler, transport by POT's Sinkhorn in float64."""
    scheduler = type(scheduler).from_config(scheduler.config)
    scheduler.set_timesteps(STEPS)
    network, finished = Gaussian(scheduler), {}
    for request in sorted(PLAN, key=lambda r: (r.classes, r.id)):
        label = request.classes[0]
        random = torch.Generator().manual_seed(request.seed)
        x = torch.randn(SHAPE, generator=random)[None]
        for i, t in enumerate(scheduler.timesteps):
            uncond, cond = (network(x, t[None], dict(label=torch.tensor([k]))) for k in (CLASSES, label))
            out = uncond + 2.0 * (cond - uncond)
            kept = scheduler.alphas_cumprod[t].double()
            leaf = x.double().requires_grad_()
            x0 = (leaf - (1 - kept)**0.5 * out.double()) / kept**0.5
            x = scheduler.step(out, t, x, generator=random).prev_sample
            if WINDOW[0] <= i < WINDOW[1]:
                before = scheduler.alphas_cumprod[scheduler.timesteps[i + 1]].double()
                sigma = ((1 - before) / (1 - kept) * (1 - kept / before))**0.5
                source = torch.cat([x0.flatten(1), *(row.double().flatten(1) for row in finished.get(label, []))])
                points = torch.from_numpy(SUPPORTS[label]).double().flatten(1)
                unit = lambda v: v / v.norm(dim=1, keepdim=True)  # noqa: E731
                cost = (unit(source)[:, None] - unit(points)).norm(dim=2)
                plan = ot.bregman.sinkhorn_log(np.full(len(source), 1 / len(source)), MASSES[label],
                                               cost.detach().numpy(), EPSILON, numItermax=5, stopThr=0, warn=False)
                (gradient, ) = torch.autograd.grad((torch.from_numpy(plan) * cost).sum(), leaf)
                x = x - (SCALE * sigma * gradient).float()
        finished.setdefault(label, []).append(x)
    return {f'{label}/{n}': row[0] for label, rows in finished.items() for n, row in enumerate(rows)}


SCHEDULERS = [DDPMScheduler(clip_sample=False, timestep_spacing='linspace'), DDIMScheduler(clip_sample=False)]


@pytest.mark.parametrize('scheduler', SCHEDULERS, ids=lambda s: type(s).__name__)
def test_batched_across_classes_equals_one_at_a_time(scheduler):
    expected = one_at_a_time(scheduler)
    batched = synthesize(build(scheduler, 3), 3, 3)
    assert batched.keys() == expected.keys()
    for name, latents in batched.items():
        torch.testing.assert_close(latents, expected[name], rtol=0, atol=1e-5)
    plain = {r.id: made.latents for r, made in zip(PLAN, build(scheduler, 3).synthesize(PLAN))}
    assert min((batched[name] - plain[name]).abs().max() for name in plain) > 1e-3  # guidance is no rounding


@pytest.mark.parametrize('scheduler', [*SCHEDULERS, DPMSolverMultistepScheduler()], ids=lambda s: type(s).__name__)
def test_batches_and_spare_requests_change_no_bit(scheduler):
    expected = synthesize(build(scheduler, 4), 3, 0)
    for batch, upcoming in ((3, 4), (3, 1), (1, 0), (1, 4)):
        again = synthesize(build(scheduler, 4), batch, upcoming)
        assert all(torch.equal(again[name], latents) for name, latents in expected.items())


def test_traces_are_the_same_in_two_parts():
    traces = [[made.trace for made in build(SCHEDULERS[0], 6).synthesize(PLAN[:3], guidance=guidance(), upcoming=later)]
              for later in (None, PLAN[3:6])]
    assert traces[0] == traces[1] and traces[0][0].losses.keys() == {'TransportMatching'}


def test_first_steps_are_done_for_several_rounds_at_once():
    generator = build(SCHEDULERS[0], 6)
    synthesize(generator, 3, 6)
    guided = STEPS - WINDOW[0]
    assert len(generator.denoiser.calls) == IPC * guided + 2 * WINDOW[0]  # two rounds fill a batch of six
    whole = build(DPMSolverMultistepScheduler(), 6)
    synthesize(whole, 3, 6)
    assert len(whole.denoiser.calls) == IPC * STEPS


def test_fewer_rows_where_more_would_be_repeats(monkeypatch):
    """Ten classes on eight GPUs: two rows instead of ten in each guided batch; on a CPU nothing changes."""
    generator = build(DDPMScheduler(clip_sample=False), 3)
    generator.narrow(2)
    assert generator.micro_batch == 3
    monkeypatch.setattr(type(generator), 'device', torch.device('cuda'))
    generator.narrow(5)
    assert generator.micro_batch == 3
    generator.narrow(2)
    assert generator.micro_batch == 2
    monkeypatch.undo()
    generator.denoiser.calls.clear()
    generator.generate(PLAN[:2])
    assert set(generator.denoiser.calls) == {4}  # two rows with their unconditional pass
