"""Students trained on the built-in street scenes, distilled with several settings; used by the D3S2 benchmarks."""
import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import time
import warnings
from pathlib import Path

import torch

import mmdistill.registry  # noqa: F401  'mmdistill::' in configs
from mmdistill.cli import main as command
from mmdistill.config import read_config
from mmdistill.datasets.manifest import read_manifest
from mmdistill.evaluation import ResultCache
from mmdistill.files import config_hash

CONFIG, STUDENT = 'configs/quickstart/d3s2_streets-64x64.py', 'configs/students/unet_streets-64x64.py'
CACHES = 'class_histograms.npz', 'class_statistics.safetensors', 'class_losses.json'
# (split, first, last) of scenes that no other table uses, and with which no weights were trained or chosen.
SCENES = dict(choice=('val', 300, 600), table=('val', 600, 900), confirm=('test', 300, 600))


class Bench:
    """Distils sets, trains a student on each and tests it on all scenes. Sets and results are kept in a work dir.

    A unit is a pair such as ``('', 0)``: the text of a config that inherits the quickstart's config, and the seed of
    the set and the student.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.root, self.seeds, self.workers = Path(args.work_dir).resolve(), args.seeds, args.workers
        self.stop = time.time() + 60 * args.minutes
        self.same_images = {}  # config → config with the same images but other labels; its images are copied
        self.cells = ResultCache(self.root / 'cells')

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser, work_dir: str) -> None:
        parser.add_argument('--work-dir', default=work_dir)
        parser.add_argument('--seeds', type=int, default=3, help='image sets, with one student each')
        parser.add_argument('--workers', type=int, default=2, help='sets and students at a time, on one thread each')
        parser.add_argument('--minutes', type=float, default=1e6,
                            help='begin no set or student after this time, and end with status 3: run again to go on')

    def measure(self, units) -> None:
        """Compute the missing units, ``workers`` at a time, each in a separate process."""
        units = [unit for unit in dict.fromkeys(units) if self.cells.get(self.key(unit)) is None]
        if not units:
            return
        with multiprocessing.get_context('fork').Pool(self.workers, maxtasksperchild=1) as pool:
            for number, line in enumerate(pool.imap_unordered(self._make, units), 1):
                if line is None:
                    sys.exit(3)
                print(f'[{number}/{len(units)}] {line}', flush=True)

    def manifest(self, unit):
        """The manifest of the set of a measured unit."""
        return read_manifest(self.folder(unit) / 'distilled')

    def folder(self, unit) -> Path:
        return self.root / 'sets' / config_hash(list(unit))

    def miou(self, unit, scenes: str) -> float:
        """The mIoU of a measured unit."""
        return self.cells.get(self.key(unit))[scenes]

    @staticmethod
    def key(unit):
        return dict(config=unit[0], seed=unit[1], scenes=SCENES)

    def _make(self, unit):
        if time.time() > self.stop:
            return None
        torch.set_num_threads(1)
        warnings.simplefilter('ignore')
        begin, (text, seed) = time.time(), unit
        folder = self.folder(unit)
        if not (folder / 'distilled/meta/distilled.json').is_file():
            self._distil(folder, text, seed)
        distilled = time.time()
        result = train(str(folder / 'distilled'), seed, str(folder / 'student'))
        self.cells.put(self.key(unit), result)
        return (f'{" ".join(text.split())[:150]} seed {seed}: {result["choice"]:.1f}, {distilled - begin:.0f} s and '
                f'{time.time() - distilled:.0f} s')

    def _distil(self, folder: Path, text: str, seed: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.with_suffix('.py')
        path.write_text(f'_base_ = {os.path.abspath(CONFIG)!r}\ntest_cfg = dict(seed={seed})\n{text}\n')
        for name in CACHES:  # measurements of the real set are the same for all units
            if (self.root / name).is_file():
                shutil.copy(self.root / name, folder)
        arguments = ['distill', str(path), '--work-dir', str(folder)]
        try:
            if (other := self.same_images.get(text)) is not None and not (folder / 'distilled').is_dir():
                command([*arguments, '--dry-run'])
                shutil.copytree(self.folder((other, seed)) / 'distilled', folder / 'distilled',
                                ignore=shutil.ignore_patterns('meta'))
            command([*arguments, *['--resume'] * (folder / 'plan.json').is_file()])
        except SystemExit as end:  # would end the process without an error in its parent
            raise RuntimeError(end.code) from None
        for name in CACHES:
            if (folder / name).is_file():
                shutil.copy(folder / name, self.root / f'{name}.{os.getpid()}')
                os.replace(self.root / f'{name}.{os.getpid()}', self.root / name)


def train(data_root: str, seed: int, work_dir: str):
    """Train the student of the quickstart on a set. Returns its mIoU on each of the scenes."""
    from mmengine.runner import Runner, ValLoop

    from mmdistill.evaluation.students import student_runner_config
    dataset = dict(type='mmdistill.DistilledDataset', data_root=data_root)
    cfg = student_runner_config(read_config(STUDENT), dataset, seed, work_dir)
    loaders = {name: dict(cfg.val_dataloader, dataset=dict(
        cfg.val_dataloader.dataset, split=split, num_scenes=last, indices=list(range(first, last))))
        for name, (split, first, last) in SCENES.items()}
    evaluator = cfg.val_evaluator
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    runner = Runner.from_cfg(cfg)
    runner.train()
    found = {}
    for name, loader in loaders.items():
        runner._val_loop = ValLoop(runner, loader, evaluator)  # MMEngine's logging reads the dataloader from here
        found[name] = runner.val_loop.run()['mIoU']
    return found


def spread(values) -> str:
    """Text with mean and standard deviation."""
    return f'{statistics.fmean(values):.1f}' + (f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else '')
