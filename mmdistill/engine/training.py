"""Additions to MMEngine's training: training on a subset of the dataset, bfloat16 on a CPU."""
import copy
from contextlib import contextmanager
from typing import Any, Dict, Mapping, Sequence

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmdistill.config import member_names
from mmdistill.datasets.wrappers import keep_samples, other_classes, parts_of
from mmdistill.errors import DistillError
from mmdistill.registry import OPTIM_WRAPPERS
from mmdistill.tasks.base import task_of_dataset
from .wrapped_data import wrapped_dataset_errors


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward pass runs under bfloat16 autocast, also on a CPU.

    MMEngine's ``AmpOptimWrapper`` requires an accelerator. bfloat16 has the range of float32, so losses are not scaled.
    On a CPU with AVX512-BF16 or AMX, training is about twice as fast; on other CPUs it is slower.

    Example:
        >>> optim_wrapper = dict(type='mmdistill.BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
    """

    @contextmanager
    def optim_context(self, model: torch.nn.Module):
        """Context of the forward pass of ``model``, with autocast on the device of its parameters."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def unwrap(model: Any) -> Any:
    """The model inside MMEngine's wrapper for several processes, or the model itself."""
    return model.module if is_model_wrapper(model) else model


def build_loops(runner: Runner) -> None:
    """Build the loops of a training and the datasets that they read.

    For models with ``reads_annotations``, check that all masks and all listed images exist. Check that
    the model and, for a distilled set, the validation set fit the classes of the training set.

    Raises:
        DistillError: A dataset cannot be built, one of its files is missing, or the classes differ.
    """
    for name in ('train', 'val'):
        cfg = runner.cfg.get(f'{name}_dataloader') or {}
        if not isinstance(dataset := cfg.get('dataset'), Mapping):
            continue
        with wrapped_dataset_errors(dataset, f'{name}_dataloader.dataset'):
            loop = getattr(runner, f'{name}_loop')
        if loop is not None and getattr(unwrap(runner.model), 'reads_annotations', False):
            data = loop.dataloader.dataset
            task_of_dataset(type(parts_of(data)[0].dataset)).source(data).check_files()
    _check_classes(runner)


def build_optimization(runner: Runner) -> None:
    """Build the optimizer and the schedulers of a training, as ``Runner.train`` does when it begins."""
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
    if runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)


def _check_classes(runner: Runner) -> None:
    """Raise a DistillError if the model or the validation set does not fit the classes of the training set.

    All classes of a distilled set have to agree. In other trainings, a segmentor must not have fewer classes.
    """
    data = runner.train_loop.dataloader.dataset
    names = (getattr(data, 'metainfo', None) or {}).get('classes')
    if not names:
        return
    distilled = _is_distilled(data)
    validation = runner.val_loop and getattr(runner.val_loop.dataloader.dataset, 'metainfo', None) or {}
    others = validation.get('classes') if distilled else None
    if others and (difference := other_classes(others, names)):
        raise DistillError(f'train_dataloader.dataset has other classes than val_dataloader.dataset: {difference}; '
                           'give a set with the same classes, in the same order')
    for key in ('decode_head', 'auxiliary_head', 'head') if distilled else ('decode_head', ):
        for place, number in _numbers_of_classes(runner.cfg.model.get(key), f'model.{key}').items():
            if number != len(names) and (distilled or 1 < number < len(names)):
                raise DistillError(f'{place}.num_classes={number}, but the training set has {len(names)} classes: set '
                                   f'it to {len(names)}')


def _is_distilled(data: Any) -> bool:
    return hasattr(data, 'full_init') and any(hasattr(part.dataset, 'manifest') for part in parts_of(data))


def _numbers_of_classes(heads: Any, key: str) -> Dict[str, int]:
    """Key and ``num_classes`` of each head in the config of a head or a list of heads."""
    named = {key: heads} if not isinstance(heads, (list, tuple)) else {
        f'{key}.{name}': head for name, head in zip(member_names(heads), heads)}
    return {place: head['num_classes'] for place, head in named.items()
            if isinstance(head, Mapping) and isinstance(head.get('num_classes'), int)}


def is_training(runner: Runner) -> bool:
    """Whether ``before_run`` was called by ``Runner.train``, not by ``val`` or ``test``."""
    loop = runner._train_loop  # Runner.train builds it first
    return isinstance(loop, BaseLoop) and not runner.iter


def restrict_training(runner: Runner, indices: Sequence[int]) -> None:
    """Train on a subset of the dataset, exactly as if its config had these ``indices``.

    Must be called in ``before_run`` of a hook, see :func:`is_training`. ``Runner.train`` has then built the loop, the
    optimizer and the schedulers for the full dataset, so they are built again. A checkpoint is loaded afterwards.

    Args:
        runner: The runner of the training.
        indices: Ascending indices of real samples; for wrapped datasets see
            :func:`~mmdistill.datasets.wrappers.keep_samples`.

    Raises:
        DistillError: The subset is smaller than a batch and ``drop_last`` would leave nothing to train on.
    """
    cfg, dataset = runner.cfg, runner.train_loop.dataloader.dataset
    keep_samples(dataset, indices)
    runner._train_dataloader = dict(cfg.train_dataloader, dataset=dataset)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    loader = runner.train_loop.dataloader
    if not len(loader) and not isinstance(loader.sampler, InfiniteSampler):
        raise DistillError(
            f'train_dataloader.batch_size={cfg.train_dataloader.get("batch_size")} is larger than the {len(dataset)} '
            'selected samples (of one GPU), and drop_last=True drops incomplete batches: lower the batch size, or set '
            'drop_last=False')
    # The schedulers have changed the learning rates of the optimizer: build both again.
    runner.optim_wrapper = copy.deepcopy(cfg.optim_wrapper)
    runner.param_schedulers = copy.deepcopy(cfg.get('param_scheduler'))
    build_optimization(runner)
