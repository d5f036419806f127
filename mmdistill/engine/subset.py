"""Training on a part of a config's dataset."""
import copy
from typing import Sequence

from mmengine.dataset import InfiniteSampler
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmdistill.errors import DistillError


def is_training(runner: Runner) -> bool:
    """Whether ``Runner.train`` called ``before_run``; ``val`` and ``test`` call it, too."""
    loop = runner._train_loop  # Runner.train builds it first
    return isinstance(loop, BaseLoop) and not runner.iter


def restrict_training(runner: Runner, indices: Sequence[int]) -> None:
    """Train on a part of the dataset, exactly as if its config had ``indices``.

    To be called in a hook's ``before_run``. ``Runner.train`` has built the loop, the optimiser and its schedulers from
    the full dataset's length by then, so they are built again; it resumes from a checkpoint later.

    Args:
        runner: Built from a config, at the start of its training (:func:`is_training`).
        indices: Samples of the training dataset, ascending.

    Raises:
        DistillError: The batch is larger than the part and ``drop_last`` leaves nothing to train on.
    """
    cfg, dataset = runner.cfg, runner.train_loop.dataloader.dataset
    dataset.get_subset_(list(indices))
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
