"""Speed of the three methods on a GPU, with full-size networks of random weights in bfloat16. No downloads.

    python benchmarks/gpu.py [--out gpu.json] [--device cuda] [--budget 480] [--only card dmgd] [--tiny]

Prints a Markdown table and writes it as JSON after each section, so that results are kept if a later section fails or
``--budget`` seconds are over. Sections: ``card`` (speed of a matrix product), and ``dmgd``, ``d4m``, ``d3s2``: one step
against float32 on the CPU, images per second in batches and one at a time, the cost of guidance, TFLOP/s, memory.
``--tiny`` uses networks of a few thousand parameters, to try the script on a CPU. The goals are for one H100.
"""
import argparse
import gc
import json
import time
import traceback
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Optional

import hub_layout
import numpy as np
import torch

from mmdistill.errors import one_line
from mmdistill.generation import ClassConditionalGenerator, ControlNetGenerator, Img2ImgGenerator, sample
from mmdistill.generation.cost import GIB
from mmdistill.generation.passes import Passes
from mmdistill.generation.process import NoiseProcess, first_step
from mmdistill.generation.prompts import PromptEncoder
from mmdistill.guidance import (ClassFeatureMatching, ClassStatistics, Guidance, SegmentationConsistency,
                                SemanticMatching, TransportMatching)
from mmdistill.plan import Request

CLASSES = 150


@dataclass
class Row:
    """A row of the table, with the ``goal`` and whether it is ``met``."""
    section: str
    name: str
    value: float
    unit: str
    goal: str = ''
    met: Optional[bool] = None

    @classmethod
    def of(cls, section, name, value, unit='', least=None, most=None):
        goal = f'at least {least:g}' if least is not None else f'at most {most:g}' if most is not None else ''
        met = (value >= least if least is not None else value <= most) if goal else None
        return cls(section, name, float(value), unit, goal, met)


class Prompts(PromptEncoder):
    """Random embeddings instead of those of CLIP, which runs once per image."""

    def __init__(self, width):
        self.limit, self.tokenizer, self.text_encoder = 77, None, torch.nn.Identity()
        self.text_encoder.config = SimpleNamespace(hidden_size=width)

    def fits(self, text):
        return True

    def __call__(self, text):
        return torch.randn(1, self.limit, self.text_encoder.config.hidden_size,
                           generator=torch.Generator().manual_seed(len(text)))


class Case:
    """A method with the settings of its shipped config.

    Attributes:
        batch: Batch size.
        side: Height and width of the images.
    """
    name: str
    latents = False
    goals = dict(speedup=5.0, guidance=None, memory=None)

    def __init__(self, tiny):
        self.tiny = tiny
        self.side, self.batch = (32, 2) if tiny else (self.full_side, self.full_batch)

    def build(self, dtype, device):
        """The generator, with the same random weights for every dtype, or on the device ``'meta'``."""
        torch.manual_seed(0)
        with torch.device('meta' if device == 'meta' else 'cpu'):
            networks = {key: make() for key, make in self.networks().items()}
        for key, network in networks.items():
            kept = torch.float32 if key in ('vae', 'guidance_vae') else getattr(torch, dtype)
            torch.nn.Module.to(network.eval().requires_grad_(False), device, kept)
        return self.generator(networks, dtype=dtype, image_size=self.side, micro_batch=1)

    def vae(self):
        from diffusers import AutoencoderKL
        return AutoencoderKL(**(dict(hub_layout.VAE, block_out_channels=(8, 8, 8, 8), norm_num_groups=4,
                                     layers_per_block=1) if self.tiny else hub_layout.VAE))

    def requests(self, count):
        return [Request(f'{n}/0', 100 + n, classes=(n, ), prompt=f'image {n}') for n in range(count)]

    def inputs(self, count):
        """Arguments of ``generate`` other than requests and guidance."""
        return {}

    def guidance(self, generator, requests, device):
        return None


class DMGD(Case):
    """DiT-XL/2 at 256 pixels, 50 ancestral steps, semantic matching and transport."""
    name = 'dmgd'
    full_side, full_batch = 256, 32
    goals = dict(speedup=8.0, guidance=1.1, memory=None)  # the guided step over the plain one

    def networks(self):
        from diffusers import DiTTransformer2DModel
        config = dict(num_attention_heads=2, attention_head_dim=8, num_layers=2, sample_size=4, out_channels=8,
                      in_channels=4) if self.tiny else hub_layout.DIT_XL2
        return dict(vae=self.vae, network=lambda: _share(DiTTransformer2DModel(**config)))

    def generator(self, networks, **settings):
        from diffusers import DDPMScheduler
        return ClassConditionalGenerator(
            scheduler=DDPMScheduler(variance_type='learned_range', timestep_spacing='linspace', clip_sample=False),
            class_ids=list(range(CLASSES)), num_steps=5 if self.tiny else 50, cfg_scale=4.0, **networks, **settings)

    def guidance(self, generator, requests, device):
        points = np.random.default_rng(0).standard_normal((CLASSES, 10, 4, self.side // 8, self.side // 8))
        transport = TransportMatching({c: value.astype(np.float32) for c, value in enumerate(points)},
                                      {c: np.full(10, 0.1) for c in range(CLASSES)}, requests)
        return Guidance([transport], window=(0.08, 0.4), scale=0.1, through='linear', update='prev', step='sigma',
                        norm='none', semantic=SemanticMatching(generator, requests))


class D4M(Case):
    """Stable Diffusion 1.5 at 512 pixels, 35 of 50 DDIM steps from latents."""
    name = 'd4m'
    full_side, full_batch, latents = 512, 16, True

    def networks(self):
        from diffusers import UNet2DConditionModel
        return dict(vae=self.vae, unet=lambda: UNet2DConditionModel(**self.unet()))

    def unet(self):
        tiny = dict(sample_size=4, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=16,
                    attention_head_dim=4, down_block_types=('DownBlock2D', 'CrossAttnDownBlock2D'), norm_num_groups=4,
                    up_block_types=('CrossAttnUpBlock2D', 'UpBlock2D'))
        return tiny if self.tiny else hub_layout.UNET

    def generator(self, networks, **settings):
        from diffusers import DDIMScheduler
        return Img2ImgGenerator(prompts=Prompts(self.unet()['cross_attention_dim']), scheduler=DDIMScheduler(
            beta_schedule='scaled_linear', beta_start=0.00085, beta_end=0.012, steps_offset=1, clip_sample=False),
            num_steps=5 if self.tiny else 50, **networks, **settings)

    def inputs(self, count):
        shape = count, 4, self.side // 8, self.side // 8
        return dict(latents=list(np.random.default_rng(0).standard_normal(shape).astype(np.float32)))


class D3S2(D4M):
    """Stable Diffusion 1.5 with a ControlNet at 512 pixels, 20 DPM-Solver++ steps, 15 of them guided by SegFormer-B0
    on images decoded by TAESD."""
    name = 'd3s2'
    full_batch, latents = 8, False
    goals = dict(speedup=5.0, guidance=2.5, memory=24.0)

    def networks(self):
        from diffusers import AutoencoderTiny, ControlNetModel
        settings = {key: value for key, value in self.unet().items() if key not in ('sample_size', 'up_block_types')}
        embedding = (4, 4, 8, 8) if self.tiny else (16, 32, 96, 256)
        tiny = dict(encoder_block_out_channels=(8, ) * 4, decoder_block_out_channels=(8, ) * 4) if self.tiny else {}
        return dict(super().networks(), guidance_vae=lambda: AutoencoderTiny(**tiny), controlnet=lambda:
                    ControlNetModel(**settings, conditioning_embedding_out_channels=embedding))

    def generator(self, networks, **settings):
        from diffusers import DPMSolverMultistepScheduler
        scheduler = DPMSolverMultistepScheduler(beta_schedule='scaled_linear', beta_start=0.00085, beta_end=0.012)
        return ControlNetGenerator(
            prompts=Prompts(self.unet()['cross_attention_dim']), scheduler=scheduler,
            classes=[f'class {c}' for c in range(CLASSES)], palette=[(c, 255 - c, 7) for c in range(CLASSES)],
            num_steps=4 if self.tiny else 20, cfg_scale=7.5, **networks, **settings)

    def inputs(self, count):
        blocks = np.random.default_rng(0).integers(0, CLASSES, (count, 4, 4)).astype(np.uint8)
        return dict(masks=[mask.repeat(self.side // 4, 0).repeat(self.side // 4, 1) for mask in blocks])

    def guide(self, device):
        """SegFormer-B0 with random weights; two convolutions without mmseg or for tiny networks."""
        torch.manual_seed(1)
        if not self.tiny:
            try:
                from mmdistill.models.segmentor import SegmentorGuide
                guide = SegmentorGuide('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', '',
                                       ['backbone'])
                return guide.to(device), guide.features
            except ImportError:
                print('mmseg is not installed: two convolutions are the guide')
        first = torch.nn.Conv2d(3, 32, 7, 4, 3).to(device).requires_grad_(False)
        last = torch.nn.Conv2d(32, CLASSES, 1).to(device).requires_grad_(False)
        return lambda images: last(first(images).relu()), lambda images: [first(images)]

    def guidance(self, generator, requests, device):
        guide, features = self.guide(device)
        masks = torch.from_numpy(np.stack(self.inputs(2)['masks'])).long().to(device)
        images = torch.rand(2, 3, self.side, self.side, device=device) * 2 - 1
        with torch.no_grad():
            statistics = ClassStatistics(CLASSES).fit(features(images), masks)
        return Guidance([SegmentationConsistency(guide, class_weight='balanced'),
                         ClassFeatureMatching(features, statistics, weight=0.1)], norm='rms', scale=0.05)


def _share(dit):
    """Let the blocks of a DiT share their embedding, as in the public weights."""
    for block in dit.transformer_blocks[1:]:
        block.norm1.emb = dit.transformer_blocks[0].norm1.emb
    return dit


def card(args, note):
    """The name of the device, and the speed of a large matrix product in bfloat16."""
    side, count = (128, 5) if args.tiny else (8192, 50)
    a, b = (torch.randn(side, side, device=args.device, dtype=torch.bfloat16) for _ in range(2))

    def run():
        for _ in range(count):
            a @ b
        _wait(args.device)

    run()
    begin = time.perf_counter()
    run()
    args.rate = 2 * side**3 * count / (time.perf_counter() - begin) / 1e12
    if args.device.startswith('cuda'):
        note(Row.of('card', f'{torch.cuda.get_device_name()}: memory', torch.cuda.mem_get_info()[1] / GIB, 'GiB'))
    note(Row.of('card', f'product of {side} x {side} bfloat16 matrices', args.rate, 'TFLOP/s'))


def method(args, note, case):
    """All measurements of one method."""
    case = case(args.tiny)
    generator = case.build('bfloat16', args.device)
    generator.to(args.device)
    requests = case.requests(case.batch)
    guidance = case.guidance(generator, requests, args.device)
    note(Row.of(case.name, 'one step, bfloat16 on the device against float32 on the CPU, relative',
                _one_step(case, generator, requests, guidance, args), '', most=0.05))
    many = _seconds(case, generator, requests, guidance, case.batch, args)
    single = min(1 if args.tiny else 2, case.batch)
    alone = sum(_seconds(case, generator, requests[n:n + 1], guidance, 1, args, n) for n in range(single)) / single
    note(Row.of(case.name, f'images per second, batches of {case.batch}', case.batch / many, '1/s'))
    note(Row.of(case.name, 'images per second, one at a time', 1 / alone, '1/s'))
    note(Row.of(case.name, 'batch over one at a time', alone * case.batch / many, 'times', least=case.goals['speedup']))
    plain = many
    if guidance is not None:
        plain = _seconds(case, generator, requests, None, case.batch, args)
        steps = len(generator.process)
        guided = len(guidance.steps(steps))
        ratio = 1 + (many - plain) / guided / (plain / steps)
        note(Row.of(case.name, 'guided step over the plain step', ratio, 'times', most=case.goals['guidance']))
    _work(case, plain, args, note)
    if args.device.startswith('cuda'):
        note(Row.of(case.name, f'most memory, batches of {case.batch}', args.peak, 'GiB', most=case.goals['memory']))


def _one_step(case, generator, requests, guidance, args):
    """Relative difference of the latents of one image after the first guided step."""
    reference = case.build('float32', 'cpu')
    ends = []
    steps = len(generator.process)
    begin = guidance.steps(steps).start if guidance is not None else first_step(steps, generator.strength)
    cases = (reference, 'cpu', case.guidance(reference, requests, 'cpu')), (generator, args.device, guidance)
    for one, device, steer in cases:
        masks = case.inputs(1).get('masks')
        labels = None if masks is None else torch.from_numpy(masks[0])[None].long()
        x = torch.randn(1, *one.latent_shape, generator=torch.Generator().manual_seed(3)).to(device)
        with torch.no_grad():
            condition = one.condition(requests[:1], labels).to(device)
        ends.append(sample(one.denoiser, one.process, x, condition, cfg=one.cfg, guidance=steer, begin=begin,
                           decode=one.guidance_decode, generators=[torch.Generator().manual_seed(4)],
                           end=begin + 1).cpu() - x.cpu())
    return ((ends[0] - ends[1]).norm() / ends[0].norm()).item()


def _seconds(case, generator, requests, guidance, rows, args, skip=0):
    """Seconds for all requests in micro-batches of ``rows``, after a short run that selects the kernels."""
    inputs = {key: value[skip:] for key, value in case.inputs(len(requests) + skip).items()}
    generator.micro_batch, process = rows, generator.process
    make = partial(generator.generate, requests, **inputs)  # ends with a copy to the CPU, so the device is done
    if rows not in args.warm:
        args.warm.add(rows)
        generator.process = NoiseProcess(generator.scheduler, max(2, len(process) // 10))
        make(guidance=guidance)
        generator.process = process
    if args.device.startswith('cuda'):
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    make(guidance=guidance)
    seconds = time.perf_counter() - begin
    if args.device.startswith('cuda'):
        args.peak = max(args.peak, torch.cuda.max_memory_allocated() / GIB)
    return seconds


def _work(case, seconds, args, note):
    """TFLOP/s of an unguided batch that took ``seconds``; operations are counted on meta tensors."""
    drawn = case.build('bfloat16', 'meta')
    drawn.micro_batch = case.batch
    passes = Passes(drawn)
    steps = len(drawn.process) - (first_step(len(drawn.process), drawn.strength) if case.latents else 0)
    flops = passes.step(case.batch).flops * steps + passes.decoding(min(4, case.batch)).flops / min(
        4, case.batch) * case.batch
    rate = flops / seconds / 1e12
    note(Row.of(case.name, 'unguided, with the last decoding', rate, 'TFLOP/s'))
    if args.rate:
        note(Row.of(case.name, 'of the matrix product', rate / args.rate, '', least=0.4))


def _wait(device):
    if device.startswith('cuda'):
        torch.cuda.synchronize()


SECTIONS = dict(card=card, **{case.name: partial(method, case=case) for case in (DMGD, D4M, D3S2)})


def table(rows, errors):
    """The results as a Markdown table."""
    lines = ['| section | what | value | goal | met |', '|---|---|---|---|---|']
    for row in rows:
        met = '' if row.met is None else 'yes' if row.met else 'no'
        lines.append(f'| {row.section} | {row.name} | {row.value:.3g} {row.unit} | {row.goal} | {met} |')
    return '\n'.join([*lines, *(f'\n{name}: {error}' for name, error in errors.items())])


def measure(args):
    """Run the sections. Returns ``{'rows': ..., 'errors': ...}``, which is also written after each section."""
    rows, errors, begin = [], {}, time.perf_counter()
    args.rate = 0.0
    for name, section in SECTIONS.items():
        if args.only and name not in args.only:
            continue
        args.warm, args.peak = set(), 0.0
        if time.perf_counter() - begin > args.budget:
            errors[name] = f'not reached within {args.budget:g} s'
            continue
        try:
            section(args, lambda row: (rows.append(row), print(f'{row.section}: {row.name} {row.value:.3g} {row.unit}',
                                                               flush=True)))
        except Exception as error:  # the other sections still run
            traceback.print_exc()
            errors[name] = one_line(error, named=True)
        gc.collect()
        if args.device.startswith('cuda'):
            torch.cuda.empty_cache()
        result = dict(device=args.device, torch=torch.__version__, seconds=time.perf_counter() - begin,
                      rows=[asdict(row) for row in rows], errors=errors)
        args.out.write_text(json.dumps(result, indent=2) + '\n')
    print(f'\n{table(rows, errors)}\n\n{time.perf_counter() - begin:.0f} s; {args.out}')
    return dict(rows=rows, errors=errors)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--out', type=Path, default=Path('gpu.json'))
    parser.add_argument('--budget', type=float, default=420.0, help='seconds after which no section begins')
    parser.add_argument('--only', nargs='+', choices=list(SECTIONS), help='these sections alone')
    parser.add_argument('--tiny', action='store_true', help='small networks')
    args = parser.parse_args(argv)
    torch.backends.cudnn.benchmark = True
    return measure(args)


if __name__ == '__main__':
    main()
