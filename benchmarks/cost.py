"""Estimated cost of the shipped configs: the table in docs/cost.md.

    python benchmarks/cost.py [CONFIG ...] [--memory 16 24 80] [--tflops 25 50 250]

For each config and GPU (memory in GiB, assumed speed in TFLOP/s), prints the largest micro_batch that fits, and hours.
A tenth of the memory is reserved for fragmentation, and 1 GiB for CUDA. The real data are not needed, since DATA below
contains the numbers of images. Only the config files of the networks are needed, and nothing is downloaded.
"""
import argparse
import copy
import math
import tempfile
from pathlib import Path
from types import SimpleNamespace

import hub_layout

from mmdistill.components import resolve
from mmdistill.config import read_config
from mmdistill.engine.composition import Composition
from mmdistill.engine.cost import count_run, generator_outline
from mmdistill.generation.cost import Workload
from mmdistill.models.distiller import Distiller
from mmdistill.plan import Request
from mmdistill.registry import DATASETS, HOOKS
from mmdistill.tasks.base import task_of_dataset

ROOT = Path(__file__).resolve().parents[1]
# Part of a config's name → number of real images and of classes in the published training set.
DATA = {'ade20k': (20210, 150), 'coco-stuff164k': (118287, 171), 'coco-stuff10k': (9000, 171),
        'imagenette': (9469, 10), 'imagewoof': (9025, 10), 'imagenet100': (126689, 100),
        'imagenet1k': (1281167, 1000)}
FLAGSHIPS = ('d3s2/*_1p_*-512x512.py', 'd4m/d4m_sd15_*.py',
             *(f'{method}/{method}_dit-xl2_*.py' for method in ('dmgd', 'mgd3', 'coda', 'cgs', 'dap', 's3', 'ddoq')))


def composition_of(cfg):
    """The parts of the run that the hooks of a config define."""
    composition = Composition()
    for hook in (HOOKS.build(dict(hook, _scope_='mmdistill')) for hook in cfg.custom_hooks):
        if hasattr(hook, 'compose'):
            hook.compose(composition)
    return composition


def count_config(path, root, micro_batch=None):
    """``(cost, parts not included, largest useful micro_batch)`` of a config. ``root`` gets configs of the networks."""
    cfg = read_config(str(path))
    generator = cfg.model.generator
    for key in ('weights', 'unet', 'controlnet', 'guidance_vae', 'config'):
        if generator.get(key):
            generator[key] = str(hub_layout.stand_in(root, generator[key], key))
    real, classes = next(numbers for name, numbers in DATA.items() if name in Path(path).stem)
    composition = composition_of(cfg)
    planner = composition.planner
    per_class = planner.annotation == 'classes'
    images = planner.candidates * planner.ipc * classes if per_class else (
        math.ceil(planner.selector['budget'] * real) * planner.images_per_mask)
    rows = micro_batch or generator.micro_batch
    generator.micro_batch = rows
    source = SimpleNamespace(counts=[real // classes] * classes, classes=['a class'] * classes)
    dataset = resolve(cfg.test_dataloader.dataset, DATASETS, 'test_dataloader.dataset')
    task = task_of_dataset(dataset)
    run = SimpleNamespace(work_dir='/nonexistent', source=_Sized(real, source.counts), plan=SimpleNamespace(
        requests=[Request(str(number), 0, classes=(number % classes, )) for number in range(images)]))
    batches = [rows] * (images // rows) + ([images % rows] if images % rows else [])
    work = Workload(batches, **composition.real_images(task, run), from_latents=planner.starts,
                    cleaned=images if composition.cleaning else 0)
    metainfo = dict(classes=[f'class {i}' for i in range(classes)],
                    palette=[(i % 256, i // 256, 0) for i in range(classes)])
    metainfo.update({key: value for key, value in getattr(dataset, 'METAINFO', {}).items() if per_class is False})
    model = Distiller(copy.deepcopy(generator))
    model.metainfo = metainfo
    return (*count_run(generator_outline(model), composition, work), useful_rows(composition, images, classes))


def useful_rows(composition, images, classes):
    """The largest number of images in a batch."""
    guidance = composition.guidance.outline() if composition.guidance else None
    if guidance is not None and guidance.memories:  # at most one image per class
        return classes
    if guidance is not None and guidance.joint:  # all images of a class
        return composition.planner.ipc
    return images


class _Sized(SimpleNamespace):
    """Placeholder for a real dataset with ``size`` images."""

    def __init__(self, size, counts):
        super().__init__(size=size, counts=counts)

    def __len__(self):
        return self.size


def largest(path, root, memory):
    """The largest useful micro_batch that fits into ``memory`` GiB, and its cost; None if none fits."""
    fits = 0.9 * memory - 1
    few, many = count_config(path, root, 4)[0], count_config(path, root, 8)[0]

    def peak(rows):  # stages grow with the number of rows, except sliced ones
        grown = {stage: many.stages[stage] + (rows - 8) / 4 * (many.stages[stage] - few.stages[stage])
                 for stage in many.stages}
        return many.weights + max(grown.values())

    useful = count_config(path, root)[2]
    rows = next((rows for rows in range(useful, 0, -1) if peak(rows) <= fits), 0)
    if rows > 8:
        rows -= rows % 2
    return (rows, count_config(path, root, rows)[0]) if rows else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', type=Path)
    parser.add_argument('--memory', nargs='+', type=float, default=[16, 24, 80], metavar='GIB')
    parser.add_argument('--tflops', nargs='+', type=float, default=[25, 50, 250], metavar='RATE')
    args = parser.parse_args()
    configs = args.configs or sorted(path for glob in FLAGSHIPS for path in (ROOT / 'configs').glob(glob))
    cards = list(zip(args.memory, args.tflops))
    print('| config | images | TFLOP | GiB at its micro_batch | ' + ' | '.join(
        f'{memory:g} GiB, {rate:g} TFLOP/s' for memory, rate in cards) + ' |')
    print('|---' * (4 + len(cards)) + '|')
    with tempfile.TemporaryDirectory() as folder:
        for path in configs:
            cost, missing, _ = count_config(path, Path(folder))
            cells = [f'`{path.stem}`', f'{cost.images}', f'{cost.total:,.0f}'.replace(',', ' '),
                     f'{cost.peak:.1f} ({cost.micro_batch})']
            for memory, rate in cards:
                found = largest(path, Path(folder), memory)
                cells.append(f'{found[0]}: {found[1].hours(rate):.3g} h' if found else 'does not fit')
            print('| ' + ' | '.join(cells) + ' |' + (f' without {missing[0]}' if missing else ''), flush=True)


if __name__ == '__main__':
    main()
