"""Time of batches, gradient paths and guidance windows, with networks of random weights.

    python benchmarks/sampling.py [--device cuda] [--side 64] [--images 8]

Prints for each case the seconds per image, and the ratio to the first case of its group. The cases alternate, and the
best of several rounds is printed, so that other load on the machine affects all of them.
"""
import argparse
import time

import numpy as np
import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler

from mmdistill.generation import LayoutUNetGenerator
from mmdistill.generation.unets import LayoutUNet
from mmdistill.guidance import Guidance, SegmentationConsistency
from mmdistill.plan import Request

CLASSES = 9


def build(args, micro_batch):
    """A generator of the same size as the built-in generator, with random weights."""
    torch.manual_seed(0)
    vae = AutoencoderTiny(encoder_block_out_channels=(32, ) * 3, decoder_block_out_channels=(32, ) * 3,
                          num_encoder_blocks=(1, 2, 2), num_decoder_blocks=(2, 2, 1))
    unet = LayoutUNet(CLASSES, 4, 4)
    for network in (vae, unet):
        network.eval().requires_grad_(False)
    scheduler = DPMSolverMultistepScheduler(beta_schedule='squaredcos_cap_v2', prediction_type='v_prediction')
    return LayoutUNetGenerator(vae, unet, scheduler, image_size=args.side, num_steps=args.steps,
                               micro_batch=micro_batch).to(args.device)


def measure(groups, args):
    """Minimum seconds per image of each case. The cases of all groups alternate."""
    requests = [Request(id=str(n), seed=n, source_index=n, source='') for n in range(args.images)]
    shape = (args.images, args.side, args.side)
    masks = list(np.random.default_rng(0).integers(0, CLASSES, shape, np.uint8))
    best = {}
    for turn in range(args.rounds + 1):  # the first round warms up
        for group, cases in groups.items():
            for name, (generator, guidance) in cases.items():
                begin = time.perf_counter()
                generator.generate(requests, masks, guidance)  # its last copy to the CPU synchronises the device
                seconds = (time.perf_counter() - begin) / args.images
                if turn:
                    best[group, name] = min(best.get((group, name), seconds), seconds)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--side', type=int, default=64)
    parser.add_argument('--images', type=int, default=8)
    parser.add_argument('--steps', type=int, default=12)
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    segmentor = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3, 2, 1), torch.nn.SiLU(), torch.nn.Conv2d(32, 64, 3, 2, 1),
                                    torch.nn.SiLU(), torch.nn.Conv2d(64, CLASSES, 1))
    segmentor.requires_grad_(False).to(args.device)

    def guidance(**settings):
        return Guidance([SegmentationConsistency(segmentor)], **settings)

    whole = build(args, args.images)
    groups = {
        'guided images at once': {
            'one at a time': (build(args, 1), guidance()),
            'four': (build(args, 4), guidance()),
            'all': (whole, guidance())},
        'gradient': {
            'none': (whole, None),
            "through='x0'": (whole, guidance(window=(0, 1))),
            "through='xt'": (whole, guidance(window=(0, 1), through='xt')),
            "through='x0', window (0.25, 1)": (whole, guidance())},
    }
    best = measure(groups, args)
    for group, cases in groups.items():
        print(f'{group} ({args.images} images of {args.side}x{args.side}, {args.steps} steps, {args.device}, '
              f'{torch.get_num_threads()} threads)')
        first = next(iter(cases))
        for name in cases:
            print(f'  {name:32s} {best[group, name]:.4f} s/image  {best[group, name] / best[group, first]:.2f}')


if __name__ == '__main__':
    main()
