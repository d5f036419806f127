"""Speed of encoding real images and of synthesis from prototypes, in batches and one image at a time.

    python benchmarks/prototypes.py                                   # networks of the built-in size, 2 cores
    python benchmarks/prototypes.py --device cuda --network dit --side 256 --images 64 --dtype bfloat16

Prints images per second of each case, the ratio to one image at a time in float32, and the largest difference of the
results. Single images are encoded by a plain call of diffusers, and generated in batches of one. The cases alternate,
and the best of several rounds is printed, so that other load on the machine affects all of them.
"""
import argparse
import time
from functools import partial

import numpy as np
import torch
from diffusers import DDIMScheduler
from networks import class_networks

from mmdistill.generation import ClassConditionalGenerator, autoencoders
from mmdistill.plan import Request

CLASSES = 10


def timed(run):
    """Seconds of a call, and its result on the CPU."""
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--network', choices=['unet', 'dit'], default='unet')
    parser.add_argument('--side', type=int, default=64)
    parser.add_argument('--images', type=int, default=16)
    parser.add_argument('--batch', type=int, help='images at once; all by default')
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--dtype', default='float32')
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    # The first run, one image at a time in float32, is the reference for the others.
    runs = list(dict.fromkeys([(1, 'float32'), (1, args.dtype), (args.batch or args.images, args.dtype)]))
    generators = {}
    for size, dtype in runs:
        vae, denoiser = class_networks(args.network, args.side, CLASSES, dtype, args.device)
        generators[size, dtype] = ClassConditionalGenerator(
            vae, denoiser, DDIMScheduler(clip_sample=False), image_size=args.side, num_steps=args.steps, strength=0.7,
            cfg_scale=4.0, micro_batch=size, dtype=dtype)
    photos = torch.rand(args.images, 3, args.side, args.side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    requests = [Request(str(n), n, classes=(n % CLASSES, )) for n in range(args.images)]

    @torch.no_grad()
    def encode(run):
        call = partial(autoencoders.encode, generators[run].vae) if run == runs[0] else generators[run].encode
        return torch.cat([call(batch.to(args.device)).cpu() for batch in photos.split(run[0])]).numpy()

    starts = list(encode(runs[0]))
    cases = dict(encoding=encode, synthesis=lambda run: np.stack(generators[run].generate(requests, latents=starts)))
    best, results = {}, {}
    for turn in range(args.rounds + 1):  # the first round warms up
        for name, case in cases.items():
            for run in runs:
                seconds, results[name, run] = timed(partial(case, run))
                if turn:
                    best[name, run] = min(best.get((name, run), seconds), seconds)
    for name in cases:
        for run in runs:
            rate, ratio = args.images / best[name, run], best[name, runs[0]] / best[name, run]
            apart = np.abs(results[name, run].astype(float) - results[name, runs[0]]).max()
            print(f'{name:10} {run[0]:4} at once, {run[1]:8}  {rate:9.2f} images/s  {ratio:5.2f}x  '
                  f'largest difference {apart:.2g}')


if __name__ == '__main__':
    main()
