"""A trial of a training, for its dry run: one step on a few images, and the metrics of a validation image."""
import logging
from contextlib import contextmanager
from typing import Any, Iterator, Optional, Tuple

import torch
from mmengine.hooks import Hook, RuntimeInfoHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, ValLoop

from mmdistill.labels.hooks import OnlineLabelsHook, ReplayedLabelsHook
from .failures import EVALUATE, READ_TRAIN, READ_VAL, TRAIN, VAL, failing
from .runner import Runner
from .training import unwrap

IMAGES = 2  # some layers need more than one image in training
LARGE = 20_000_000  # parameters; without a GPU, a step of a larger model takes minutes
_PREPARING = ('before_run', 'before_train', 'before_train_epoch', 'before_train_iter', 'before_val',
              'before_val_epoch', '_before_epoch', '_before_iter')


def try_training(runner: Runner) -> str:
    """Train for one step, and validate one image; the training cannot be continued afterwards.

    Args:
        runner: The runner, with its loops and its optimizer.

    Returns:
        What was tried, or why nothing was.

    Raises:
        DistillError: Data cannot be read, or the model or a metric fails.
    """
    if reason := _obstacle(runner):
        return f'Trial: none, since {reason}'
    for hook in runner.hooks:
        if isinstance(hook, RuntimeInfoHook):  # some models read the number of the iteration
            hook.before_run(runner)
            hook.before_train(runner)
        if isinstance(hook, (RuntimeInfoHook, ReplayedLabelsHook)):
            hook.before_train_epoch(runner)
    with _silent(runner.logger):
        count = _train(runner)
        if type(runner._val_loop) is not ValLoop:
            return f'Trial: one step on {count} training images succeeded'
        _validate(runner)
    return f'Trial: one step on {count} training images and the metrics of one validation image succeeded'


def is_too_large(model: torch.nn.Module) -> bool:
    """Whether a step of a model takes minutes on this machine."""
    return not torch.cuda.is_available() and sum(one.numel() for one in model.parameters()) > LARGE


def small_batch(loader: Any, dataset: Any) -> Tuple[Any, int]:
    """The first images of a dataset as a batch of a training's loader, and their number."""
    count = min(loader.batch_size or IMAGES, IMAGES)
    return loader.collate_fn([dataset[index % len(dataset)] for index in range(count)]), count


def _obstacle(runner: Runner) -> Optional[str]:
    """Why a training cannot be tried."""
    loop, loader = runner.train_loop, runner.train_loop.dataloader
    if type(loop) not in (EpochBasedTrainLoop, IterBasedTrainLoop) or not hasattr(loader.dataset, '__getitem__'):
        return f'{type(loop).__name__} or {type(loader.dataset).__name__} is not one of MMEngine'
    for hook in runner.hooks:
        foreign = type(hook).__module__.partition('.')[0] not in ('mmengine', 'mmdistill')
        if isinstance(hook, OnlineLabelsHook) or foreign and any(
                getattr(type(hook), stage) is not getattr(Hook, stage) for stage in _PREPARING):
            return f'{type(hook).__name__} prepares the training'
    if is_too_large(runner.model):
        return f'the model has more than {LARGE // 10**6} million parameters, and there is no GPU'
    return None


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Context without log output, such as the tables of metrics."""
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _train(runner: Runner) -> int:
    loader = runner.train_loop.dataloader
    with failing(*READ_TRAIN):
        batch, count = small_batch(loader, loader.dataset)
    runner.model.train()
    with failing(*TRAIN):
        unwrap(runner.model).train_step(batch, optim_wrapper=runner.optim_wrapper)
    return count


def _validate(runner: Runner) -> None:
    loader, evaluator = runner.val_loop.dataloader, runner.val_loop.evaluator
    with failing(*READ_VAL):
        batch = loader.collate_fn([loader.dataset[0]])
    runner.model.eval()
    with failing(*VAL), torch.no_grad():
        outputs = unwrap(runner.model).val_step(batch)
    with failing(*EVALUATE):
        evaluator.process(data_samples=outputs, data_batch=batch)
        evaluator.evaluate(1)
