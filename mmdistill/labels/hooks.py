"""Hooks for soft labels in stock trainings of mmpretrain: from a teacher in each step, or from stored labels."""
from typing import Any, Mapping, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmdistill.datasets.distilled import has_weights
from mmdistill.engine.training import unwrap
from mmdistill.errors import DistillError
from mmdistill.models.losses import TemperatureKLLoss, inner_loss
from mmdistill.registry import HOOKS
from mmdistill.settings import Positive, check_settings, validated
from .replay import ReplayedViews
from .teacher import NORMALISED, Teacher


@HOOKS.register_module()
class OnlineLabelsHook(Hook):
    """Labels each training batch with a teacher after augmentation and mixing, on the same pixels as the student.

    The hook runs after the student's data preprocessor and replaces ``gt_score`` by the teacher's probabilities at
    ``temperature``, multiplied by the image weights if the training set has any
    (:class:`mmdistill.models.losses.WeightedLoss`). The teacher is not part of the model, so it is neither optimised
    nor saved in checkpoints.

    Args:
        teacher: Arguments of :class:`mmdistill.labels.Teacher`.
        temperature: Temperature T > 0 of the softmax, equal to that of the loss.

    Example:
        >>> custom_hooks = [dict(type='mmdistill.OnlineLabelsHook', temperature=20, teacher=dict(
        ...     config='mmpretrain::resnet/resnet18_8xb32_in1k.py', checkpoint='resnet18.pth'))]
    """

    @validated
    def __init__(self, teacher: dict, temperature: Positive) -> None:
        self._config, self.temperature = teacher, temperature

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Check the settings of the teacher."""
        check_settings(Teacher, settings['teacher'], f'{where}.teacher', ('device', ))

    def before_train(self, runner: Runner) -> None:
        """Build the teacher; raises a DistillError unless its classes are those of the training set."""
        pre: Any = check_student(runner, self.temperature).data_preprocessor
        self.teacher = Teacher(**{'device': pre.device, **self._config})
        self.teacher.check_classes(runner.train_dataloader.dataset.metainfo['classes'])
        self._weighted = has_weights(runner.train_dataloader.dataset)
        self._handle = pre.register_forward_hook(self._relabel, with_kwargs=True)

    def after_train(self, runner: Runner) -> None:
        """Detach from the student's data preprocessor."""
        self._handle.remove()

    def _relabel(self, pre: Any, args: Sequence, kwargs: dict, data: dict) -> None:
        if not kwargs.get('training', len(args) > 1 and args[1]):
            return
        scores = (self.teacher(_pixels(pre, data['inputs'])) / self.temperature).softmax(1)
        for sample, score in zip(data['data_samples'], scores.to(data['inputs'].device)):
            sample.set_gt_score(score * sample.gt_score.sum() if self._weighted else score)


@HOOKS.register_module()
class ReplayedLabelsHook(Hook):
    """Passes the epoch to a :class:`mmdistill.labels.ReplayedViews`, whose labels are checked before training."""

    def before_train(self, runner: Runner) -> None:
        """Open the store.

        Raises:
            DistillError: The store does not fit, or the training is not epoch-based or mixes batches.
        """
        dataset = runner.train_dataloader.dataset
        if not isinstance(dataset, ReplayedViews):
            raise DistillError('ReplayedLabelsHook: train_dataloader.dataset has to be a mmdistill.ReplayedViews, not '
                               f'a {type(dataset).__name__}')
        if not hasattr(runner.train_loop, 'run_epoch'):
            raise DistillError('ReplayedLabelsHook: labels of views are stored per epoch: train by an '
                               'EpochBasedTrainLoop')
        model = check_student(runner, dataset.temperature)
        if getattr(model.data_preprocessor, 'batch_augments', None) is not None:
            raise DistillError('ReplayedLabelsHook: the views are mixed already, and the batch would be mixed again: '
                               'set data_preprocessor.batch_augments=None')
        dataset.open(runner.max_epochs)

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the epoch of the dataset, in all worker processes."""
        runner.train_dataloader.dataset.set_epoch(runner.epoch)


def check_student(runner: Runner, temperature: float) -> nn.Module:
    """The model without its wrapper; raises a DistillError if its loss has another temperature than the labels."""
    model = unwrap(runner.model)
    loss = inner_loss(getattr(getattr(model, 'head', None), 'loss_module', None))
    if isinstance(loss, TemperatureKLLoss) and loss.temperature != temperature:
        raise DistillError(f'the labels have temperature {temperature:g} and the loss {loss.temperature:g}: set both '
                           'to the same value')
    return model


def _pixels(pre: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Convert the output of the student's data preprocessor to RGB pixels in 0..255."""
    if pre._enable_normalize:
        inputs = inputs * pre.std + pre.mean
    elif inputs.min() < 0:
        raise DistillError(NORMALISED)
    return inputs if pre.to_rgb else inputs.flip(1)
