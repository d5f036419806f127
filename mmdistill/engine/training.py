"""What trainings need that MMEngine lacks: checks, a part of the config's dataset, mixed precision on a CPU."""
import copy
import logging
import os
import re
import time
import zipfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Optional, Sequence

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmdistill.components import check_component, resolve
from mmdistill.datasets.subsets import check_subsets
from mmdistill.datasets.wrappers import keep_samples
from mmdistill.documents import read_file
from mmdistill.errors import DistillError
from mmdistill.registry import HOOKS, LOOPS, OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward pass runs under bfloat16 autocast, on a CPU too.

    MMEngine's ``AmpOptimWrapper`` asks for an accelerator. bfloat16 has float32's range, so no loss is scaled. Twice as
    fast on a CPU with AVX512-BF16 or AMX, slower on one without.

    Example:
        >>> optim_wrapper = dict(type='mmdistill.BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
    """

    @contextmanager
    def optim_context(self, model: torch.nn.Module):
        """The forward pass of ``model``, on the device of its parameters."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def check_training(cfg: Mapping[str, Any], name: str) -> None:
    """Check the loop, the optimizer and our own hooks of the training config ``name`` of any OpenMMLab package, and
    the ``indices`` of distilled sets."""
    if missing := [key for key in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper') if not cfg.get(key)]:
        raise DistillError(f'{name} is not a training config: it has no {", ".join(missing)}')
    scope = dict(_scope_=cfg['default_scope']) if cfg.get('default_scope') else {}
    loop = dict(cfg['train_cfg'])
    loop.setdefault('type', 'EpochBasedTrainLoop' if loop.pop('by_epoch', True) else 'IterBasedTrainLoop')
    check_component({**scope, **loop}, LOOPS, 'train_cfg', ('runner', 'dataloader'))
    if optimizer := cfg['optim_wrapper'].get('optimizer'):
        resolve({**scope, **optimizer}, OPTIMIZERS, 'optim_wrapper.optimizer')
    for i, hook in enumerate(cfg.get('custom_hooks') or []):
        if isinstance(hook, Hook):
            continue
        settings = {**scope, **{key: value for key, value in hook.items() if key != 'priority'}}
        if resolve(settings, HOOKS, f'custom_hooks.{i}').__module__.startswith('mmdistill.'):
            check_component(settings, HOOKS, f'custom_hooks.{i}')
    if isinstance(dataset := cfg['train_dataloader'].get('dataset'), Mapping):
        check_subsets(dataset, 'train_dataloader.dataset')


def continue_training(cfg: Any, resume: bool) -> None:
    """Set a training config to begin, or to go on from the newest whole checkpoint of its work dir.

    A training whose first checkpoint was cut short begins again.

    Raises:
        DistillError: It is to begin and the work dir holds a training, or to go on and no checkpoint there is whole.
    """
    cfg.resume, folder = resume, Path(cfg.work_dir)
    found = checkpoints(folder)
    if not resume and found:
        raise DistillError(f'{folder} holds a training ({found[-1].name}): continue it with --resume, remove it, or '
                           'choose another --work-dir')
    for path in reversed(found):
        if is_whole(path):
            cfg.load_from = str(path)
            if gone := _gone_last(folder):
                print_log(f'{folder / "last_checkpoint"} names {gone}, which is not there: {path} is taken', 'current',
                          logging.WARNING)
            return
        next_step = 'the one before it is taken' if len(found) > 1 else 'the training begins again'
        print_log(f'{path} was cut short or damaged: {next_step}', 'current', logging.WARNING)
    if len(found) == 1:
        cfg.resume = False
        return
    if found:
        raise DistillError(f'none of the checkpoints in {folder} is whole, {found[-1].name} is the last: remove them '
                           'to begin again, or choose another --work-dir')
    if resume and (gone := _gone_last(folder)):
        raise DistillError(f'{folder / "last_checkpoint"} names {gone}, which is not there, and {folder} has no other '
                           'checkpoint: restore it, or remove last_checkpoint to begin again')


def guard_loading(runner: Runner) -> None:
    """Turn what MMEngine raises for a checkpoint of something else into a DistillError."""
    load = runner.load_or_resume

    def guarded() -> None:
        try:
            load()
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, DistillError):
                raise
            raise DistillError(f'{runner._load_from} is no checkpoint that this training can go on from or start with '
                               f'({type(error).__name__}: {error}): remove it, or give another one') from None

    runner.load_or_resume = guarded  # type: ignore[method-assign]


@contextmanager
def whole_checkpoints(folder: str) -> Iterator[None]:
    """Remove a checkpoint that was being written when the block ends with an exception."""
    start = time.time()
    try:
        yield
    except BaseException:
        for path in checkpoints(Path(folder))[-1:] if is_main_process() else ():
            with suppress(OSError):
                if path.stat().st_mtime >= start - 1 and not is_whole(path):
                    path.unlink()
        raise


def _gone_last(folder: Path) -> Optional[Path]:
    """The checkpoint that MMEngine's ``last_checkpoint`` names if it is not there, nor in the folder."""
    try:
        path = Path(read_file(folder / 'last_checkpoint')[:4096].decode().strip())
        return None if os.path.isfile(path) or os.path.isfile(folder / path.name) else path
    except (OSError, ValueError):
        return None


def checkpoints(folder: Path) -> List[Path]:
    """The checkpoints of a training, the newest last."""
    return sorted((path for path in folder.glob('*.pth') if re.fullmatch(r'(iter|epoch)_\d+', path.stem)),
                  key=lambda path: int(path.stem.partition('_')[2]))


def is_whole(path: Path) -> bool:
    """Whether a checkpoint's archive is complete and its checksums are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error):
        return False


def is_training(runner: Runner) -> bool:
    """Whether ``Runner.train`` called ``before_run``; ``val`` and ``test`` call it, too."""
    loop = runner._train_loop  # Runner.train builds it first
    return isinstance(loop, BaseLoop) and not runner.iter


def restrict_training(runner: Runner, indices: Sequence[int]) -> None:
    """Train on a part of the dataset, exactly as if its config had these ascending ``indices``.

    They count the real samples; behind wrappers see :func:`~mmdistill.datasets.wrappers.keep_samples`.
    For a hook's ``before_run`` (:func:`is_training`). ``Runner.train`` has built the loop, the optimiser and
    its schedulers from the full dataset's length by then, so they are built again; it resumes from a checkpoint later.

    Raises:
        DistillError: The batch is larger than the part and ``drop_last`` leaves nothing to train on.
    """
    cfg, dataset = runner.cfg, runner.train_loop.dataloader.dataset
    keep_samples(dataset, indices)
    runner._train_dataloader = dict(cfg.train_dataloader, dataset=dataset)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    loader = runner.train_loop.dataloader
    if not len(loader) and not isinstance(loader.sampler, InfiniteSampler):
        raise DistillError(
            f'train_dataloader.batch_size={cfg.train_dataloader.get("batch_size")} is larger than the {len(dataset)} '
            'selected samples (of one GPU), and drop_last=True drops what does not fill a batch: lower the batch size, '
            'or set drop_last=False')
    # The schedulers have changed the learning rates of the optimiser: both start again.
    runner.optim_wrapper = runner.build_optim_wrapper(copy.deepcopy(cfg.optim_wrapper))
    runner.param_schedulers = copy.deepcopy(cfg.get('param_scheduler'))
    runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
    if runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
