"""Joint guidance: one batch has all images of a group. The network gets micro_batch of them at a time."""
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from mmdistill.generation import Condition
from mmdistill.guidance import Guidance, SetMatching
from mmdistill.plan import Request
from .test_batching import MASSES, SHAPE, SUPPORTS, build

PLAN = [Request(f'{label}/{n}_{candidate}', 100 * candidate + 10 * label + n, classes=(label, ), candidate=candidate)
        for candidate in range(2) for label in range(2) for n in range(5)]


def generator_of(micro_batch, scheduler=DDIMScheduler):
    return build(scheduler(clip_sample=False, timestep_spacing='leading'), micro_batch)


def guidance(scale=1.0):
    return Guidance([SetMatching(SUPPORTS, MASSES)], window=(0, 1), scale=scale, update='prev', norm='none')


def latents_of(generator, plan, scale=1.0):
    return {made.request.id: made.latents for made in generator.synthesize(plan, guidance=guidance(scale))}


def test_a_group_is_one_batch_of_any_size():
    """Any micro_batch gives the same latents, and those of a loop over one group at a time."""
    found = {}
    for rows in (2, 3, 5, 8):
        generator = generator_of(rows)
        found[rows] = latents_of(generator, PLAN)
        assert max(generator.denoiser.calls) <= 2 * rows and [*found[rows]] == [request.id for request in PLAN]
    for rows in (3, 5, 8):
        for name, latents in found[rows].items():
            torch.testing.assert_close(latents, found[2][name], rtol=1e-4, atol=1e-5)
    alone = latents_of(generator_of(5), PLAN[5:10])
    assert all(torch.equal(alone[request.id], found[5][request.id]) for request in PLAN[5:10])


def test_against_the_loop_written_out():
    generator = generator_of(4, DDPMScheduler)
    found = latents_of(generator, PLAN[:5], scale=5.0)
    group, process = PLAN[:5], generator.process
    randoms = [torch.Generator().manual_seed(request.seed) for request in group]
    x = torch.stack([torch.randn(SHAPE, generator=g) for g in randoms])
    objective, condition = SetMatching(SUPPORTS, MASSES), generator.condition(group)
    process.start()
    for i in range(len(process)):
        leaf = x.clone().requires_grad_()
        (gradient, ) = torch.autograd.grad(objective(leaf, condition, process.level(i)).sum(), leaf)
        t = process.timesteps[i].expand(5)
        uncond, cond = (generator.denoiser(x, t, c) for c in (condition.null(), condition))
        x = process.step(uncond + 2.0 * (cond - uncond), i, x, randoms) - 5.0 * gradient
    torch.testing.assert_close(torch.stack([found[request.id] for request in group]), x, rtol=1e-4, atol=1e-5)
    plain = {made.request.id: made.latents for made in generator.synthesize(group)}
    assert not torch.allclose(plain[group[0].id], found[group[0].id], atol=1e-2)


def test_rows_of_a_condition():
    condition = Condition(dict(label=torch.arange(4)), dict(label=-torch.arange(4)), tuple(PLAN[:4]))
    part = condition.rows(slice(1, 3))
    assert part['label'].tolist() == [1, 2] and part.nulls['label'].tolist() == [-1, -2]
    assert part.requests == tuple(PLAN[1:3])
