"""Failures of a run in one line; a run that is refused before its first iteration leaves no log."""
import os.path as osp
import re
import shutil
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ContextManager, Iterator, List, Optional, Set

from mmengine.runner.base_loop import BaseLoop

from mmdistill import stopping
from mmdistill.errors import DistillError, is_fault_of_machine, one_line
from .attempts import replaced
from .runner import Runner, restored_globals

#: What fails, and what to correct.
READ_TRAIN = 'train_dataloader: a sample cannot be read', 'correct the file, or train_dataloader.dataset.pipeline'
READ_VAL = 'val_dataloader: a sample cannot be read', 'correct the file, or val_dataloader.dataset.pipeline'
TRAIN = 'the first iteration fails', 'correct model, or train_dataloader.dataset.pipeline'
VAL = 'the model cannot be validated', 'correct model, or val_dataloader.dataset.pipeline'
EVALUATE = 'val_evaluator: the metrics cannot be computed', 'correct val_evaluator'


def failing(what: str, advice: str) -> ContextManager[None]:
    """Like :func:`~.attempts.replaced`, with one of the failures above."""
    return replaced(lambda error: f'{what} ({_reason(error)}): {advice}')


@contextmanager
def supervised(folder: Any) -> Iterator[List[Runner]]:
    """Context of a run. Failures of data, model and metrics become one line, and their traceback is logged.

    If a DistillError is raised before the run has begun, the folders of its log are removed. The log of a distillation
    with a plan is kept.

    Args:
        folder: The work dir.

    Yields:
        A list; the caller adds the runner.
    """
    before, runners = _logs(folder), []  # type: ignore[var-annotated]
    try:
        with restored_globals():
            yield runners
    except DistillError as error:
        runner = runners[0] if runners else None
        if runner and runner.begun and _within(runner._train_loop, error):
            raise DistillError(f'{error}; {stopping.current.kept_files_message()}') from None
        if not (runner and runner.begun) and not Path(folder, 'plan.json').is_file():
            for path in _logs(folder) - before if not stopping.current.rank else ():
                shutil.rmtree(path, ignore_errors=True)
        raise
    except Exception as error:
        if runners and (found := _described(runners[0], error)):
            raise found from None
        raise


def _described(runner: Runner, error: Exception) -> Optional[DistillError]:
    """The line about a failure of data, model or metrics, whose traceback is logged; None for other exceptions."""
    if runner.rank or (place := _place(runner, error)) is None:
        return None
    what, advice = place
    log = osp.join(runner.log_dir, f'{runner.timestamp}.log')
    with suppress(OSError), open(log, 'a') as file:
        traceback.print_exception(error, file=file)
    kept = f'; {stopping.current.kept_files_message()}' if runner.begun else ''
    return DistillError(f'{what} ({_reason(error)}): {advice}; the traceback is in {log}{kept}')


def _logs(folder: Any) -> Set[Path]:
    """The log folders in a work dir; their names are dates."""
    return {path for path in Path(folder).glob('*') if re.fullmatch(r'\d{8}_\d{6}', path.name)}


def _place(runner: Runner, error: Exception) -> Any:
    """Which of the failures above an exception in a training is; None for others."""
    killed = 'DataLoader worker (pid' in str(error)
    if killed or is_fault_of_machine(error) or stopping.lost_peer(error):
        return None
    modules = [frame.f_globals.get('__name__', '') for frame, _ in traceback.walk_tb(error.__traceback__)]
    validates = _within(runner._val_loop, error)
    if not validates and not _within(runner._train_loop, error):
        return None
    if any(name.startswith('torch.utils.data.') for name in modules):
        return READ_VAL if validates else READ_TRAIN
    if validates:
        return EVALUATE if any(name.startswith('mmengine.evaluator.') for name in modules) else VAL
    return None if runner.begun else TRAIN


def _within(loop: Any, error: Exception) -> bool:
    """Whether an exception was raised while ``loop`` ran."""
    return isinstance(loop, BaseLoop) and any(
        frame.f_locals.get('self') is loop for frame, _ in traceback.walk_tb(error.__traceback__))


def _reason(error: Exception) -> str:
    """The message of an exception in one line, with the image that was read.

    The exception of a DataLoader's process contains a whole traceback; its last line is enough.
    """
    text = str(error).strip()
    if 'Original Traceback' in text:
        return one_line(text.splitlines()[-1], 300)
    path, text = _image(error), one_line(error, 300, named=True)
    return text if path is None or path in text else f'{path}: {text}'


def _image(error: Exception) -> Optional[str]:
    """The path of the image that a transform of OpenMMLab processed when it raised an exception."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        sample = frame.f_locals.get('results')
        if isinstance(sample, dict) and isinstance(sample.get('img_path'), str):
            return sample['img_path']
    return None
