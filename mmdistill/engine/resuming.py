"""Resuming a training: the newest complete checkpoint, which has to fit the model and the optimizer."""
import logging
import os
import re
import time
import zipfile
import zlib
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Iterator, List, Optional

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from mmdistill.documents import read_file
from mmdistill.errors import DistillError
from mmdistill.weights.checkpoints import misfit
from .attempts import reason
from .training_settings import changed_settings

_LAST = 'last_checkpoint'  # MMEngine's file with the path of the newest complete checkpoint


def continue_training(cfg: Any, resume: bool) -> None:
    """Set ``resume`` and ``load_from`` of a training config: the newest complete checkpoint is resumed.

    If the only checkpoint is incomplete because its writing was interrupted, the training starts again. A warning names
    the settings that have changed; they apply from now on.

    Args:
        cfg: The training config; changed in place.
        resume: Whether to resume the training in the work dir.

    Raises:
        DistillError: The work dir contains a training and ``resume`` is False, or no checkpoint is complete although
            one was.
    """
    cfg.resume, folder = resume, Path(cfg.work_dir)
    found = checkpoints(folder)
    if not resume and found:
        raise DistillError(f'{folder} holds a training ({found[-1].name}): continue it with --resume, remove it, or '
                           'choose another --work-dir')
    for path in reversed(found):
        if is_complete(path):
            cfg.load_from = str(path)
            if gone := _missing_last_checkpoint(folder):
                print_log(f'{folder / _LAST} names {gone}, which does not exist: resuming from {path}',
                          'current', logging.WARNING)
            if changes := changed_settings(cfg):
                print_log(f'{path.name} is resumed with other settings: {changes}', 'current', logging.WARNING)
            return
        interrupted = len(found) == 1 and Path(_last_checkpoint(folder)).name != path.name
        next_step = 'starting again' if interrupted else 'looking for the one before'
        print_log(f'{path} is incomplete or damaged: {next_step}', 'current', logging.WARNING)
        if interrupted:
            cfg.resume = False
            return
    if found:
        raise DistillError(f'none of the checkpoints in {folder} is complete; the last is {found[-1].name}: remove '
                           'them to start again, or choose another --work-dir')
    if resume and (gone := _missing_last_checkpoint(folder)):
        raise DistillError(f'{folder / _LAST} names {gone}, which does not exist, and {folder} has no '
                           'other checkpoint: restore it, or remove last_checkpoint to start again')


def guard_loading(runner: Runner) -> None:
    """Make ``runner`` raise a DistillError if the checkpoint does not fit the training.

    A checkpoint that is resumed has to fit exactly: the names and shapes of all tensors, and the kind of the optimizer.
    """
    load = runner.load_or_resume
    if runner._resume:
        runner.load_checkpoint = partial(runner.load_checkpoint, strict=True)  # type: ignore[method-assign]

    def guarded() -> None:
        try:
            load()
            if runner._resume and runner._load_from:
                _check_optimizer(runner.optim_wrapper)
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, DistillError):
                raise
            advice = ('restore the settings with which it was trained, or choose another --work-dir'
                      if runner._resume else 'remove it, or give another checkpoint')
            raise DistillError(f'{runner._load_from} does not fit this training ({misfit(error) or reason(error)}): '
                               f'{advice}') from None

    runner.load_or_resume = guarded  # type: ignore[method-assign]


def _check_optimizer(built: Any) -> None:
    """Raise a ValueError if the loaded state is that of another kind of optimizer."""
    for wrapper in built.values() if isinstance(built, OptimWrapperDict) else [built]:
        for group in wrapper.param_groups:
            if missing := sorted({*wrapper.optimizer.defaults} - {*group}):
                raise ValueError(f'it holds the state of another optimizer than {type(wrapper.optimizer).__name__}, '
                                 f'without {", ".join(missing)}')


@contextmanager
def discard_partial_checkpoint(folder: str) -> Iterator[None]:
    """Context that removes an incomplete checkpoint if the block ends with an exception."""
    start = time.time()
    try:
        yield
    except BaseException:
        for path in checkpoints(Path(folder))[-1:] if is_main_process() else ():
            with suppress(OSError):
                if path.stat().st_mtime >= start - 1 and not is_complete(path):
                    path.unlink()
        raise


def _last_checkpoint(folder: Path) -> str:
    """The path in MMEngine's file about the newest complete checkpoint; '' if there is none."""
    try:
        return read_file(folder / _LAST)[:4096].decode().strip()
    except (OSError, ValueError):
        return ''


def _missing_last_checkpoint(folder: Path) -> Optional[Path]:
    """The newest complete checkpoint according to MMEngine, if it does not exist; else None."""
    path = Path(_last_checkpoint(folder))
    return path if path.name and not (os.path.isfile(path) or os.path.isfile(folder / path.name)) else None


def checkpoints(folder: Path) -> List[Path]:
    """The checkpoints in the work dir of a training, the newest last."""
    return sorted((path for path in folder.glob('*.pth') if re.fullmatch(r'(iter|epoch)_\d+', path.stem)),
                  key=lambda path: int(path.stem.partition('_')[2]))


def is_complete(path: Path) -> bool:
    """Whether the archive of a checkpoint is complete and its checksums are correct."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error):
        return False
