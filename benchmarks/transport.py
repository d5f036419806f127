"""Speed of DMGD in batches across classes and for one sample at a time, with networks of random weights.

    python benchmarks/transport.py                                            # a ClassUNet of the built-in size, CPU
    python benchmarks/transport.py --device cuda --network dit --side 256 --dtype bfloat16 --steps 50 --ipc 3

The run with one sample at a time is a separate implementation: batch size 1, the scheduler of diffusers, float32
latents, POT's Sinkhorn for one problem. It uses a float32 network, as in the released code, and then a network of the
requested dtype. Prints the seconds per image of each case and their ratio to the batched run, the time of the parts
of the batched run, and the cost of transport in a guided step. The cases alternate, and the best of several rounds is
printed.
"""
import argparse
import copy
import time
from collections import defaultdict
from functools import partial

import numpy as np
import ot
import torch
from diffusers import DDPMScheduler
from networks import class_networks

from mmdistill.generation import ClassConditionalGenerator
from mmdistill.generation.autoencoders import decode
from mmdistill.guidance import Guidance, TransportMatching
from mmdistill.plan import Request

POINTS, SCALE, CFG = 10, 0.1, 4.0


def scheduler(args):
    learned = dict(variance_type='learned_range') if args.network == 'dit' else {}
    return DDPMScheduler(clip_sample=False, timestep_spacing='linspace', **learned)


def guidance(args, supports, plan, window=(0.08, 0.4)):
    transport = TransportMatching(supports, {label: np.full(POINTS, 1 / POINTS) for label in supports}, plan)
    return Guidance([transport], window=window, scale=SCALE, through='linear', update='prev', step='sigma',
                    norm='none')


def batched(generator, guide, plan, classes):
    """Generate in rounds, with one sample of each class per batch."""
    for start in range(0, len(plan), classes):
        following = plan[start + classes:start + classes + generator.micro_batch]
        for made in generator.synthesize(plan[start:start + classes], guidance=guide, upcoming=following):
            for memory in guide.memories:
                memory.remember(made.request, made.latents)


@torch.no_grad()
def one_at_a_time(args, generator, network, supports, plan):
    """Generate one sample after the other, in the order of the released code."""
    steps = scheduler(args)
    steps.set_timesteps(args.steps)
    first, last = round(0.08 * args.steps), round(0.4 * args.steps)
    unit = torch.nn.functional.normalize
    points = {label: unit(torch.from_numpy(rows).flatten(1), dim=1).to(args.device)
              for label, rows in supports.items()}
    weights = torch.full((POINTS, ), 1 / POINTS, device=args.device)
    finished = defaultdict(list)
    for request in sorted(plan, key=lambda request: request.classes):
        label = request.classes[0]
        random = torch.Generator().manual_seed(request.seed)
        x = torch.randn((1, *generator.latent_shape), generator=random).to(args.device)
        labels = torch.tensor([generator.null, label], device=args.device)
        for i, t in enumerate(steps.timesteps.tolist()):
            times = torch.full((2, ), t, device=args.device)
            out = network(torch.cat([x, x]).to(network.dtype), times, labels).sample.float()
            uncond, cond = out.chunk(2)
            out = torch.cat([uncond[:, :4] + CFG * (cond - uncond)[:, :4], cond[:, 4:]], 1)
            kept = float(steps.alphas_cumprod[t])
            x0 = (x - (1 - kept)**0.5 * out[:, :4]) / kept**0.5
            x = steps.step(out, t, x, generator=random).prev_sample
            if first <= i < last:
                before = float(steps.alphas_cumprod[steps.timesteps[i + 1]])
                sigma = ((1 - before) / (1 - kept) * (1 - kept / before))**0.5
                with torch.enable_grad():
                    leaf = x0.requires_grad_()
                    rows = torch.cat([unit(leaf.flatten(1), dim=1), *finished[label]])
                    cost = (rows[:, None] - points[label]).norm(dim=2)
                    even = torch.full((len(rows), ), 1 / len(rows), device=args.device)
                    coupling = ot.sinkhorn(even, weights, cost.detach(), 0.1, method='sinkhorn_log', numItermax=5,
                                           stopThr=0, warn=False)
                    (gradient, ) = torch.autograd.grad((coupling * cost).sum(), leaf)
                x = x - SCALE * sigma / kept**0.5 * gradient
        decode(generator.vae, x).cpu()
        finished[label].append(unit(x.flatten(1), dim=1))


def timed(args, run):
    begin = time.perf_counter()
    run()
    if args.device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def profiled(args, generator, guide, run):
    """Seconds in the network and in guidance. The device is synchronised around each, which slows the run."""
    spent = defaultdict(float)

    def watched(name, call):
        def inner(*values, **settings):
            if args.device == 'cuda':
                torch.cuda.synchronize()
            results = []
            spent[name] += timed(args, lambda: results.append(call(*values, **settings)))
            return results[0]
        return inner

    hold = generator.denoiser.forward, guide.shift
    generator.denoiser.forward, guide.shift = watched('network', hold[0]), watched('transport', hold[1])
    spent['whole'] = timed(args, run)
    generator.denoiser.forward, guide.shift = hold
    return spent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--network', choices=['unet', 'dit'], default='unet')
    parser.add_argument('--side', type=int, default=64)
    parser.add_argument('--classes', type=int, default=10)
    parser.add_argument('--ipc', type=int, default=2)
    parser.add_argument('--steps', type=int, default=25)
    parser.add_argument('--dtype', default='float32')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--compile', action='store_true', help='the batched network, by torch.compile')
    args = parser.parse_args()
    vae, denoiser = class_networks(args.network, args.side, args.classes, args.dtype, args.device)
    generator = ClassConditionalGenerator(vae, denoiser, scheduler(args), image_size=args.side, num_steps=args.steps,
                                          cfg_scale=CFG, micro_batch=args.classes, dtype=args.dtype,
                                          compile=args.compile and dict(options=dict(freezing=True)))
    plan = [Request(f'{label}/{n}', n * args.classes + label, classes=(label, ))
            for n in range(args.ipc) for label in range(args.classes)]
    rng = np.random.default_rng(0)
    supports = {label: rng.standard_normal((POINTS, *generator.latent_shape), np.float32)
                for label in range(args.classes)}

    full = guidance(args, supports, plan, window=(0, 1))
    latents = torch.from_numpy(rng.standard_normal(generator.latent_shape, np.float32))
    for request in plan[:-args.classes]:
        full.memories[0].remember(request, latents)
    last = plan[-args.classes:]
    alone = {f'one at a time, {dtype}': copy.deepcopy(denoiser).to(getattr(torch, dtype))
             for dtype in dict.fromkeys(('float32', args.dtype))}
    cases = {
        **{name: partial(one_at_a_time, args, generator, network, supports, plan) for name, network in alone.items()},
        'batched': lambda: batched(generator, guidance(args, supports, plan), plan, args.classes),
        'a round, no step guided': lambda: list(generator.synthesize(last)),
        'a round, all guided': lambda: list(generator.synthesize(last, guidance=full)),
    }
    best = {}
    for turn in range(args.rounds + 1):  # the first round warms up
        for name, run in cases.items():
            seconds = timed(args, run)
            if turn:
                best[name] = min(best.get(name, seconds), seconds)
    print(f'{"batched":24} {best["batched"] / len(plan):8.4f} s per image')
    for name in alone:
        print(f'{name:24} {best[name] / len(plan):8.4f} s an image: {best[name] / best["batched"]:.2f}x as long')
    guide = guidance(args, supports, plan)
    spent = profiled(args, generator, guide, lambda: batched(generator, guide, plan, args.classes))
    rest = spent['whole'] - spent['network'] - spent['transport']
    for name, seconds in (*list(spent.items())[:2], ('rest (noise, steps, decoding, copies)', rest)):
        print(f'{name:40} {seconds / spent["whole"]:6.1%} of the batched run')
    plain, guided = best['a round, no step guided'], best['a round, all guided']
    print(f'a guided step takes {guided / plain - 1:+.1%} of one without, in a batch of {args.classes}')


if __name__ == '__main__':
    main()
