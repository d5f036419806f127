"""Memory and time of the shipped configs at full size, with random weights in the layout of the hub.

    python benchmarks/full_size.py [CONFIG ...] [--steps 2] [--compare] [--folder FOLDER]

Each config runs through tools/distill.py in a separate process, for one mask or one image of each of two classes, on
small synthetic photos. Prints the peak memory of the process, the estimated memory, and the time. ``--compare``
compares ControlNet, img2img and DiT with the pipelines of diffusers, and the ancestral steps of DiT-XL/2 with a float64
reference. Nothing is downloaded. The weights of one config at a time are stored on disk, up to 6 GB.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hub_layout
import numpy as np
import torch
from cost import FLAGSHIPS, ROOT
from PIL import Image
from scipy.io import savemat

from mmdistill.config import read_config
from mmdistill.datasets.coco_stuff.ids import OFFICIAL

GIB = 2**30


def photos(folder, names, rng):
    """Random photos of 384x512 pixels, smooth enough to be JPEG files."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((512, 384), 3).save(path)


def write_coco_stuff(folder, dataset, rng):
    """Two images with masks in the ids of COCO-Stuff, as PNG or .mat files."""
    prefix = dataset.get('data_prefix') or {}
    images, masks = prefix.get('img_path', 'train2017'), prefix.get('seg_map_path', 'stuffthingmaps/train2017')
    names = [f'{n:012d}' for n in range(2)]
    photos(folder, [f'{images}/{name}.jpg' for name in names], rng)
    (folder / masks).mkdir(parents=True)
    for name in names:
        blocks = rng.choice(OFFICIAL[:60], (3, 4)).astype(np.uint8).repeat(128, 0).repeat(128, 1)
        if dataset.get('form') == 'mat':
            savemat(folder / masks / f'{name}.mat', dict(S=blocks))
        else:
            Image.fromarray(blocks - 1).save(folder / masks / f'{name}.png')
    if dataset.get('ann_file'):
        (folder / dataset.ann_file).parent.mkdir(parents=True, exist_ok=True)
        (folder / dataset.ann_file).write_text('\n'.join(names))
    return []


def write_data(folder, cfg):
    """Write a small dataset in place of the real data; returns the options that set its path."""
    rng, dataset = np.random.default_rng(0), cfg.test_dataloader.dataset
    if 'ADE20K' in dataset.type:
        photos(folder, [f'images/training/{n}.jpg' for n in range(2)], rng)
        (folder / 'annotations/training').mkdir(parents=True)
        for n in range(2):
            blocks = rng.integers(0, 151, (3, 4), np.uint8).repeat(128, 0).repeat(128, 1)
            Image.fromarray(blocks).save(folder / f'annotations/training/{n}.png')
        return []
    if 'COCO' in dataset.type:
        return write_coco_stuff(folder, dataset, rng)
    wnids = list(cfg.get('classes') or ('n01440764', 'n01443537'))[:2]
    ids = list(cfg.get('imagenet_ids') or (0, 1))[:2]
    photos(folder, [f'train/{wnid}/{wnid}_{n}.JPEG' for wnid in wnids for n in range(2)], rng)
    options = [f'test_dataloader.dataset.classes=[{",".join(wnids)}]',
               'test_dataloader.dataset.metainfo.label_texts=[tench,goldfish]', 'test_dataloader.num_workers=0']
    if dataset.type.endswith('ImageNet1K'):  # which requires all classes
        options.append('test_dataloader.dataset.type=mmdistill.ImageNetSubset')
    if cfg.model.generator.type == 'ClassConditionalGenerator':
        options.append(f'model.generator.class_ids={ids}'.replace(' ', ''))
    return options


def options_of(cfg, root, data, steps):
    """Options for a short run with random data and weights."""
    generator, options = cfg.model.generator, write_data(data, cfg)
    options += [f'data_root={data}', f'model.generator.num_steps={steps}', 'model.generator.micro_batch=1',
                'test_dataloader.batch_size=1']
    for key in ('weights', 'unet', 'controlnet', 'guidance_vae'):
        if generator.get(key):
            folder = hub_layout.stand_in(root, generator[key], key, weights=True)
            options.append(f'model.generator.{key}={folder}')
    for hook in cfg.custom_hooks:
        name = f'custom_hooks.{hook.type}'
        options += [f'{name}.selector.budget=1'] if 'selector' in hook else []
        options += [f'{name}.ipc=1'] if 'ipc' in hook else []
        options += [f'{name}.support.n_clusters=2'] if (hook.get('support') or {}).get('n_clusters') else []
        if hook.get('segmentor'):
            options.append(f'{name}.segmentor.checkpoint={hub_layout.write_guide(root, hook.segmentor.config)}')
    return options


def run(config, folder, steps, dry=False):
    """Run the tool. Returns peak memory in GiB, seconds, and the log."""
    cfg = read_config(str(config))
    data, work = folder / 'data', folder / 'work'
    for place in (data, work):
        shutil.rmtree(place, ignore_errors=True)
    data.mkdir(parents=True)
    command = [sys.executable, str(ROOT / 'tools/distill.py'), str(config), '--work-dir', str(work),
               *(['--dry-run'] if dry else []), '--cfg-options', *options_of(cfg, folder / 'hub', data, steps)]
    begin = time.perf_counter()
    with open(folder / 'log', 'w') as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                                   env={**os.environ, 'PYTHONPATH': str(ROOT), 'HF_HUB_OFFLINE': '1'})
        _, status, usage = os.wait4(process.pid, 0)
    text = (folder / 'log').read_text()
    if status:
        raise SystemExit(f'{config} failed:\n{text[-3000:]}')
    return usage.ru_maxrss * 1024 / GIB, time.perf_counter() - begin, text


def compare(folder, steps):
    """Print the largest differences (of 255) from the pipelines of diffusers, and of ancestral steps from equations."""
    print(f'\nAgainst diffusers, {steps} steps, float32, {torch.get_num_threads()} threads:')
    for check in (compare_controlnet, compare_img2img, compare_dit):
        shutil.rmtree(folder / 'hub', ignore_errors=True)
        for line in check(folder / 'hub', steps):
            print(f'  {line}', flush=True)


def differing(name, ours, theirs):
    gap = np.abs(np.asarray(ours, int) - (np.asarray(theirs) * 255).round().astype(int))
    return f'{name}: largest difference {gap.max()} of 255, {(gap > 0).mean():.2%} of the values differ'


def compare_controlnet(root, steps):
    """Stable Diffusion 1.5 with a ControlNet."""
    import diffusers

    from mmdistill.generation import ControlNetGenerator
    from mmdistill.generation.palette import render_palette
    from mmdistill.plan import Request
    classes, palette = [f'class {i}' for i in range(150)], [(i, 255 - i, 7) for i in range(150)]
    sd, control = (str(hub_layout.write(root, name, True)) for name in (hub_layout.SD15, hub_layout.CONTROLNET))
    generator = ControlNetGenerator.from_pretrained(
        sd, control, classes=classes, palette=palette, num_steps=steps, cfg_scale=7.5, micro_batch=1,
        scheduler='DPMSolverMultistepScheduler', image_size=512)
    mask = np.arange(16, dtype=np.uint8).reshape(4, 4).repeat(128, 0).repeat(128, 1)
    request, parts = Request('0', 5), generator.denoiser
    prompt = generator.prompt_of(request, torch.from_numpy(mask).long())
    ours = generator.generate([request], [mask])[0]
    pipeline = diffusers.StableDiffusionControlNetPipeline(
        vae=generator.vae, unet=parts.unet, controlnet=parts.controlnet, text_encoder=generator.prompts.text_encoder,
        tokenizer=generator.prompts.tokenizer, scheduler=generator.scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(prompt, image=render_palette(torch.from_numpy(mask).long()[None], palette), guidance_scale=7.5,
                      latents=torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(5)),
                      num_inference_steps=steps, output_type='np').images[0]
    yield differing('StableDiffusionControlNetPipeline', ours, theirs)


def compare_img2img(root, steps):
    """Stable Diffusion 1.5 from latents."""
    import diffusers

    from mmdistill.generation import Img2ImgGenerator
    from mmdistill.plan import Request
    sd = str(hub_layout.write(root, hub_layout.SD15, True))
    generator = Img2ImgGenerator.from_pretrained(sd, num_steps=steps, micro_batch=1, scheduler='DDIMScheduler')
    start = np.random.default_rng(0).standard_normal((4, 64, 64)).astype(np.float32)
    ours = generator.generate([Request('0', 5, classes=(0, ), prompt='tench')], latents=[start])[0]
    pipeline = diffusers.StableDiffusionImg2ImgPipeline(
        vae=generator.vae, unet=generator.denoiser.unet, text_encoder=generator.prompts.text_encoder,
        tokenizer=generator.prompts.tokenizer, scheduler=generator.scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline('tench', image=torch.from_numpy(start)[None], negative_prompt=generator.negative_prompt,
                      strength=0.7, guidance_scale=8.0, num_inference_steps=steps, output_type='np',
                      generator=[torch.Generator().manual_seed(5)]).images[0]
    yield differing('StableDiffusionImg2ImgPipeline', ours, theirs)


def compare_dit(root, steps):
    """DiT-XL/2 with DDIM, and its ancestral steps with the learned variance. All use the same network, with DiT's
    timestep embedding, which the pipeline of diffusers does not use for weights that it loads."""
    import diffusers

    from mmdistill.generation import ClassConditionalGenerator
    from mmdistill.plan import Request
    dit = str(hub_layout.write(root, hub_layout.DIT, True))
    settings = dict(cfg_scale=4.0, micro_batch=1, image_size=256)
    generator = ClassConditionalGenerator.from_pretrained(dit, num_steps=steps, scheduler='DDIMScheduler', **settings)
    ours = generator.generate([Request('0', 5, classes=(7, ))])[0]
    shift = generator.describe()['timestep_shift']
    pipeline = diffusers.DiTPipeline(generator.denoiser.network, generator.vae, generator.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline([7], guidance_scale=4.0, generator=[torch.Generator().manual_seed(5)],
                      num_inference_steps=steps, output_type='np').images[0]
    yield differing(f'DiTPipeline, timestep embedding with shift {shift}', ours, theirs)
    ancestral = ClassConditionalGenerator(
        generator.vae, generator.denoiser.network, diffusers.DDPMScheduler(
            variance_type='learned_range', timestep_spacing='linspace', clip_sample=False), num_steps=50, **settings)
    yield compare_ancestral(ancestral, Request('0', 5, classes=(7, )))


def compare_ancestral(generator, request):
    """Each of 50 steps of DiT-XL/2 with its learned variance, against the equations of arXiv 2102.09672 (4, 15, 19)
    and 2006.11239 (6, 7) in float64, from the same latents and outputs of the network."""
    from mmdistill.generation import sample
    seen, outputs = [], []
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    times = np.rint(np.linspace(1, 1000, 50)).astype(int)[::-1]
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))

    def denoiser(x, t, condition):
        out = generator.denoiser(x, t, condition)
        seen.append(x[:1].double())
        outputs.append(out.double())
        return out

    noise = torch.randn(1, *generator.latent_shape, generator=ours)
    torch.randn(1, *generator.latent_shape, generator=theirs)
    end = sample(denoiser, generator.process, noise, generator.condition([request]), cfg=generator.cfg,
                 generators=[ours])
    worst = 0.0
    for k, (x, out, reached) in enumerate(zip(seen, outputs, [*seen[1:], end.double()])):
        now, before = kept[times[k] - 1], kept[times[k + 1] - 1] if k < 49 else 1.0
        uncond, cond = out.chunk(2)
        eps = uncond[:, :4] + 4.0 * (cond[:, :4] - uncond[:, :4])
        x0 = (x - np.sqrt(1 - now) * eps) / np.sqrt(now)
        beta = 1 - now / before
        x = np.sqrt(before) * beta / (1 - now) * x0 + np.sqrt(now / before) * (1 - before) / (1 - now) * x
        if k < 49:
            share = (cond[:, 4:] + 1) / 2
            log = share * np.log(beta) + (1 - share) * np.log((1 - before) / (1 - now) * beta)
            x = x + torch.exp(log / 2) * torch.randn(1, *generator.latent_shape, generator=theirs).double()
        worst = max(worst, ((x - reached).norm() / x.norm()).item())
    return f'DDPM, learned variance, 50 steps of DiT-XL/2: largest relative difference of a step {worst:.1e}'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', type=Path)
    parser.add_argument('--steps', type=int, default=2)
    parser.add_argument('--compare', action='store_true', help='also compare with diffusers')
    parser.add_argument('--only-compare', action='store_true')
    parser.add_argument('--folder', type=Path, help='for the weights; a temporary one by default')
    args = parser.parse_args()
    configs = args.configs or sorted(path for glob in FLAGSHIPS for path in (ROOT / 'configs').glob(glob))
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        if not args.only_compare:
            print(f'{args.steps} steps, one row, {torch.get_num_threads()} threads\n\n| config | peak memory, memory '
                  'before the networks (GiB) | estimate of the networks (GiB) | seconds |\n|---|---|---|---|',
                  flush=True)
        for config in configs if not args.only_compare else ():
            idle, _, _ = run(config, folder, args.steps, dry=True)
            held, seconds, log = run(config, folder, args.steps)
            estimate = re.search(r'Memory: about ([\d.]+) GiB', log)
            print(f'| `{config.stem}` | {held:.1f}, {idle:.1f} | {estimate[1] if estimate else "none"} | '
                  f'{seconds:.0f} |', flush=True)
            shutil.rmtree(folder / 'hub')
        if args.compare or args.only_compare:
            compare(folder, args.steps)
    finally:
        shutil.rmtree(folder)


if __name__ == '__main__':
    main()
