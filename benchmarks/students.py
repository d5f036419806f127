"""Students of the built-in street scenes on sets distilled with other settings; both are kept in a work dir."""
import argparse
import multiprocessing
import shutil
import statistics
import sys
import time
from pathlib import Path

from mmengine.config import Config

import mmdistill.registry  # noqa: F401  'mmdistill::' in configs
from mmdistill.cli import main as command
from mmdistill.evaluation import Cells, markdown  # noqa: F401
from mmdistill.evaluation.workers import _start_worker
from mmdistill.files import config_hash

CONFIG, STUDENT = 'configs/quickstart/d3s2_streets-64x64.py', 'configs/students/unet_streets-64x64.py'
CACHES = 'class_histograms.npz', 'class_statistics.safetensors'


class Bench:
    """Distils and trains what is not there yet, one after the other, each in a process of its own."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.root, self.seeds, self.stop = Path(args.work_dir), args.seeds, args.minutes * 60 + time.time()
        self.cells = Cells(self.root / 'cells')

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser, work_dir: str) -> None:
        parser.add_argument('--work-dir', default=work_dir)
        parser.add_argument('--seeds', type=int, default=3, help='image sets, with one student each')
        parser.add_argument('--minutes', type=float, default=1e6, help='stop after the first student or set that ends '
                            'later, with status 3; run again to go on')

    def distilled(self, options, seed: int, config: str = CONFIG) -> Path:
        """The set of a config with these options; None for no guidance."""
        folder = self.root / 'sets' / config_hash([config, options, seed])
        if (folder / 'distilled/meta/distilled.json').is_file():
            return folder / 'distilled'
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.with_suffix('.py')
        cfg = Config.fromfile(config)
        if options is None:
            cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'GuidedSynthesisHook']
        cfg.dump(path)
        for name in CACHES:
            if (self.root / name).is_file():
                shutil.copy(self.root / name, folder)
        settings = [f'{key}={value}' for key, value in {**(options or {}), 'test_cfg.seed': seed}.items()]
        self._run(_distil, ['distill', str(path), '--work-dir', str(folder), '--cfg-options', *settings,
                            *['--resume'] * (folder / 'plan.json').is_file()])
        for name in CACHES:
            if (folder / name).is_file():
                shutil.copy(folder / name, self.root)
        return folder / 'distilled'

    def miou(self, root: Path, seed: int, scenes, iterations: int) -> float:
        """Of a student of the quickstart, trained on a set, on the scenes (split, first, last)."""
        split, first, last = scenes
        cfg = Config.fromfile(STUDENT)
        cfg.test_dataloader.dataset.update(split=split, num_scenes=last, indices=list(range(first, last)))
        cfg.train_cfg.max_iters = cfg.param_scheduler[-1].end = iterations
        key = dict(set=str(root.parent.name), seed=seed, student=cfg.to_dict())
        if self.cells.get(key) is None:
            result = self._run(_train, cfg, str(root), seed, str(self.root / 'students'))
            self.cells.put(key, result)
            print(f'{root.parent.name} seed {seed} on {split} {first}..{last}: {result["mIoU"]:.1f}', flush=True)
        return self.cells.get(key)['mIoU']

    @staticmethod
    def spread(values) -> str:
        """Mean and standard deviation."""
        std = f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else ''
        return f'{statistics.fmean(values):.1f}{std}'

    def _run(self, function, *args):
        """Call in a process of its own, whose imports are this one's."""
        if time.time() > self.stop:
            sys.exit(3)
        with multiprocessing.get_context('fork').Pool(1, _start_worker) as pool:
            return pool.apply(function, args)


def _distil(arguments) -> None:
    try:
        command(arguments)
    except SystemExit as end:  # which would end the process without a word to its parent
        raise RuntimeError(end.code) from None


def _train(cfg, root: str, seed: int, work_dir: str) -> dict:
    from mmdistill.evaluation.students import train_student
    return train_student(cfg, dict(type='mmdistill.DistilledDataset', data_root=root), seed, work_dir)
