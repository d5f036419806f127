"""The cost of rectified cross-attention relative to plain attention, at the sizes of Stable Diffusion 1.5.

    python benchmarks/attention.py [--device cuda --dtype bfloat16] [--images 1] [--side 64] [--unet]

Prints the seconds of all 16 cross-attention layers of one step with classifier-free guidance (two rows per image) and
their ratio to plain attention. With --unet, it also times the complete U-Net with random weights (3.4 GB in float32).
The cases alternate, so that other load on the machine affects all of them. Seconds are the minimum over the rounds, and
ratios are the median.
"""
import argparse
import time

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention

from mmdistill.generation.conditions import Condition
from mmdistill.generation.denoisers import TextDenoiser
from mmdistill.generation.rectified_attention import (OPEN, RectifiedAttention, RectifiedDenoiser, attention_bias,
                                                      bias_of_levels, level_sizes)

LAYERS = ((320, 0, 5), (640, 1, 5), (1280, 2, 5), (1280, 3, 1))  # channels, level, and how many of the 16 layers


def scene(args, dtype):
    """Condition of a step with classifier-free guidance, for masks with 12 classes in blocks."""
    blocks = torch.randint(0, 12, (args.images, 16, 16))
    masks = blocks.repeat_interleave(args.side // 2, 1).repeat_interleave(args.side // 2, 2)
    slots = torch.full((args.images, 77), OPEN)
    slots[:, 1:19] = torch.arange(18) % 12
    bias = attention_bias(masks, slots, level_sizes((args.side, args.side), 4), dtype)
    prompt = torch.randn(2 * args.images, 77, 768).to(args.device, dtype)
    return Condition(dict(prompt=prompt, bias=torch.cat([torch.zeros_like(bias), bias]).to(args.device)))


def layers_of(args, dtype):
    """Case → function that runs all cross-attention layers of a step."""
    condition, sizes = scene(args, dtype), level_sizes((args.side, args.side), 4)
    bias = bias_of_levels(condition['bias'], sizes, 77)
    work = []
    for channels, level, count in LAYERS:
        attn = Attention(channels, cross_attention_dim=768, heads=8, dim_head=channels // 8).to(args.device, dtype)
        hidden = torch.randn(2 * args.images, sizes[level][0] * sizes[level][1], channels).to(args.device, dtype)
        work += [(attn.eval(), hidden)] * count

    def run(processor, **given):
        for attn, hidden in work:
            processor(attn, hidden, condition['prompt'], **given)

    stock, full, mixed = work[0][0].processor, RectifiedAttention(), RectifiedAttention(0.5)
    return {'plain': lambda: run(stock), 'rectified': lambda: run(full, bias=bias),
            'half rectified': lambda: run(mixed, bias=bias)}


def unets_of(args, dtype):
    """Case → function that runs the complete U-Net."""
    condition = scene(args, dtype)
    torch.set_default_dtype(dtype)
    unet = UNet2DConditionModel(sample_size=args.side, cross_attention_dim=768).to(args.device, dtype).eval()
    torch.set_default_dtype(torch.float32)
    x = torch.randn(2 * args.images, 4, args.side, args.side).to(args.device)
    t = torch.full((2 * args.images, ), 500, device=args.device)
    denoisers = dict(plain=TextDenoiser(unet), rectified=RectifiedDenoiser(unet))
    return {name: (lambda denoiser=denoiser: denoiser(x, t, condition)) for name, denoiser in denoisers.items()}


def measure(cases, args):
    """Case → seconds of each round (R,). The cases alternate."""
    seconds = {name: [] for name in cases}
    for turn in range(args.rounds + 1):  # the first round warms up
        for name, case in cases.items():
            wait(args.device)
            begin = time.perf_counter()
            with torch.no_grad():
                case()
            wait(args.device)
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    return {name: np.array(values) for name, values in seconds.items()}


def wait(device):
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', default='float32')
    parser.add_argument('--images', type=int, default=1)
    parser.add_argument('--side', type=int, default=64, help='side of the latents')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--unet', action='store_true', help='time the whole U-Net, too')
    args = parser.parse_args()
    torch.manual_seed(0)
    dtype = getattr(torch, args.dtype)
    for title, make in (('16 cross-attention layers', layers_of), ('U-Net', unets_of))[:1 + args.unet]:
        print(f'{title}, {args.images} images, latents of {args.side}x{args.side}, {args.dtype}, {args.device}, '
              f'{torch.get_num_threads()} threads')
        seconds = measure(make(args, dtype), args)
        for name, values in seconds.items():
            print(f'  {name:16s} {values.min():.4f} s  {np.median(values / seconds["plain"]):.2f}', flush=True)


if __name__ == '__main__':
    main()
