"""The effect of each setting of the authors' released code on the final latents, for the built-in object pictures.

    python benchmarks/released.py [--ipc 10] [--method DMGD]

Each setting is changed alone in the config of the quickstart. Prints the distance to the final latents of the unchanged
config, ||z - z0|| / ||z0||, averaged over the images, for the same seeds. "Another seed" is the distance between two
independent images of a class. The clustering of D4M and PNDM instead of DDIM are implemented here, since mmdistill has
no settings for them. Five minutes on one core.
"""
import argparse
import os
import tempfile

import numpy as np
import torch
from diffusers import DDIMScheduler, PNDMScheduler
from mmengine.runner import Runner
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import MiniBatchKMeans

from mmdistill.config import merge_options, read_config
from mmdistill.engine.inherited import distillation_config
from mmdistill.evaluation import markdown
from mmdistill.evaluation.encoders import LatentEncoder, encode_dataset
from mmdistill.evaluation.building import build_dataset
from mmdistill.generation import ClassConditionalGenerator
from mmdistill.registry import GENERATORS
from mmdistill.tasks.classification import Classification

CONFIG, HOOK = 'mmdistill::quickstart/{}_objects-64px.py', 'custom_hooks.GuidedSynthesisHook.'
SEMANTIC = {f'{HOOK}semantic.compat': 'released'}
UNROLL = {f'{HOOK}objectives.TransportMatching.unroll': True}
CFG = {'model.generator.cfg_channels': 3}
BFLOAT16, SEED = {'model.generator.dtype': 'bfloat16'}, {'test_cfg.seed': 1}
CHOICES = {
    'DMGD': {
        'semantic matching as released': SEMANTIC, 'gradient through the iterations': UNROLL,
        'guidance on three channels': CFG, 'all three': {**SEMANTIC, **UNROLL, **CFG},
        'bfloat16 (ours) for float32': BFLOAT16, 'another seed': SEED},
    'D4M': {
        'float16 for float32': {'model.generator.dtype': 'float16'}, 'bfloat16 (ours) for float32': BFLOAT16,
        'another seed': SEED}}


class Recorder(ClassConditionalGenerator):
    """Keeps the requests and the final latents."""
    made: dict = {}  # request → start and final latents

    def synthesize(self, requests, masks=None, guidance=None, latents=None, upcoming=None):
        for row, made in enumerate(super().synthesize(requests, masks, guidance, latents, upcoming)):
            self.made[made.request] = None if latents is None else latents[row], made.latents.numpy()
            yield made


def distilled(folder, method, ipc, options):
    """Run the config of the quickstart with options. Returns the generator, and start and final latents by request."""
    cfg = read_config(CONFIG.format(method.lower()))
    planner = 'PrototypeHook' if method == 'D4M' else 'ClassPlanHook'
    merge_options(cfg, {'model.generator.type': 'Recorder', f'custom_hooks.{planner}.ipc': ipc, **options})
    Recorder.made = {}
    cfg.work_dir, cfg.log_level = tempfile.mkdtemp(dir=folder), 'ERROR'
    cfg.experiment_name = cfg.work_dir
    runner = Runner.from_cfg(distillation_config(cfg))
    runner.test()
    return runner.model.generator, dict(Recorder.made)


def distance(made, other):
    """Mean of ||z - z0|| / ||z0|| over the images."""
    return float(np.mean([np.linalg.norm(one - base) / np.linalg.norm(base) for one, base in zip(other, made)]))


@torch.no_grad()
def follow(generator, scheduler, requests, starts, steps=50, strength=0.7, scale=8.0):
    """Final latents with the scheduler of diffusers from noisy prototypes, as in its img2img pipeline."""
    scheduler.set_timesteps(steps)
    times = scheduler.timesteps[(steps - int(steps * strength)) * scheduler.order:]
    noise = torch.stack([torch.randn(generator.latent_shape, generator=torch.Generator().manual_seed(request.seed))
                         for request in requests])
    x = scheduler.add_noise(torch.from_numpy(np.stack(starts)), noise, times[:1].repeat(len(requests)))
    condition = generator.condition(requests)
    both = condition.null().cat(condition)
    for t in times:
        uncond, cond = generator.denoiser(torch.cat([x, x]), t.repeat(2 * len(x)), both).chunk(2)
        x = scheduler.step(uncond + scale * (cond - uncond), t, x, return_dict=False)[0]
    return list(x.numpy())


def released_prototypes(ipc, shape, starts):
    """The prototype of each start latent, from the clustering of the released code.

    A step of its mini-batch k-means uses K images in random order, where K is the number of centres. An incomplete last
    batch is left out.
    """
    dataset = build_dataset(read_config('mmdistill::_base_/datasets/objects.py').train_dataset, 'mmpretrain')
    rows, labels = encode_dataset(LatentEncoder('mmdistill://objects', 64), dataset), Classification().labels(dataset)
    order, found = np.random.default_rng(0).permutation(len(rows)), {}
    for label in np.unique(labels):
        mine = rows[order][labels[order] == label]
        model = MiniBatchKMeans(ipc, random_state=0, batch_size=ipc, n_init='auto')
        for begin in range(0, len(mine) - ipc + 1, ipc):
            model.partial_fit(mine[begin:begin + ipc])
        keys = [key for key in starts if key.classes == (label, )]
        ours = np.stack([starts[key].ravel() for key in keys])
        costs = np.linalg.norm(ours[:, None] - model.cluster_centers_, axis=2)
        for key, column in zip(keys, linear_sum_assignment(costs)[1]):
            found[key] = model.cluster_centers_[column].reshape(shape).astype(np.float32)
    return found


def again(generator, requests, starts):
    """Generate the images from other start latents. Returns the final latents."""
    size = generator.micro_batch
    return [made.latents.numpy() for begin in range(0, len(requests), size)
            for made in generator.synthesize(requests[begin:begin + size], latents=starts[begin:begin + size])]


def d4m_by_hand(ipc, generator, made):
    """The distances for the settings that are implemented here."""
    requests, (starts, base) = list(made), zip(*made.values())
    ddim, pndm = (follow(generator, scheduler.from_config(generator.scheduler.config, **settings), requests, starts)
                  for scheduler, settings in ((DDIMScheduler, {}), (PNDMScheduler, dict(skip_prk_steps=True))))
    other = released_prototypes(ipc, generator.latent_shape, dict(zip(requests, starts)))
    finals = again(generator, requests, [other[key] for key in requests])
    return {'PNDM for DDIM, 50 steps, scale 8': distance(ddim, pndm),
            'steps of k-means of one image per centre': distance(base, finals)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ipc', type=int, default=10)
    parser.add_argument('--method', choices=[*CHOICES], nargs='*', default=[*CHOICES])
    args = parser.parse_args()
    GENERATORS.register_module(module=Recorder)
    with tempfile.TemporaryDirectory() as folder:
        os.environ['MMDISTILL_CACHE'] = f'{folder}/cache'
        for method in args.method:
            generator, base = distilled(folder, method, args.ipc, {})
            starts, finals = zip(*base.values())
            found = d4m_by_hand(args.ipc, generator, base) if method == 'D4M' else {}
            for name, options in CHOICES[method].items():
                # With another seed, ids still name the same images.
                changed, other = distilled(folder, method, args.ipc, options)
                made = {request.id: final for request, (_, final) in other.items()}
                found[name] = distance(finals, [made[request.id] for request in base])
                if method == 'D4M' and options is not SEED:
                    found[f'{name}, the same prototypes'] = distance(finals, again(changed, [*base], starts))
            rows = [[name, f'{value:.2%}' if value < 0.1 else f'{value:.0%}'] for name, value in found.items()]
            print(f'\n{method}, {len(base)} images\n{markdown([["choice", "distance"], *rows])}', flush=True)


if __name__ == '__main__':
    main()
