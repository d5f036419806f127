"""A hook that weighs the classes in the loss of a segmentation network."""
import os.path as osp
from typing import Any, List

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmdistill.datasets.masks import DatasetMasks
from mmdistill.datasets.wrappers import real_dataset
from mmdistill.engine.training import unwrap
from mmdistill.errors import DistillError
from mmdistill.registry import HOOKS

_IN_PROCESS = 1000  # up to this number, masks are counted without worker processes


@HOOKS.register_module()
class ClassWeightsHook(Hook):
    r"""Weighs each class by :math:`1 / \ln(1.02 + p_c)` in the losses of mmseg's heads (ENet, arXiv 1606.02147).

    :math:`p_c` is the share of class c in the labelled pixels of the training set. A class that covers all pixels has
    weight 1.4, and an absent class has weight 50. The weights replace ``class_weight`` of every ``loss_decode``, also
    in auxiliary heads.

    Example:
        >>> custom_hooks = [dict(type='mmdistill.ClassWeightsHook')]
    """

    def before_train(self, runner: Runner) -> None:
        """Count the pixels of the training set and set the weights.

        Raises:
            DistillError: No head of the model has a loss with class weights, or a head has another number of classes.
        """
        model = unwrap(runner.model)
        heads = [head for head in model.modules() if getattr(head, 'loss_decode', None) is not None]
        losses = [loss for head in heads for loss in _losses(head) if hasattr(loss, 'class_weight')]
        if not losses:
            raise DistillError(f'ClassWeightsHook: no head of {type(model).__name__} has a loss_decode with '
                               'class_weight: leave the hook out')
        masks = DatasetMasks(real_dataset(runner.train_loop.dataloader.dataset, distinct=False))
        for head in heads:
            if head.num_classes != len(masks.classes):
                raise DistillError(f'ClassWeightsHook: {type(head).__name__} has {head.num_classes} classes, the '
                                   f'training set {len(masks.classes)}: set num_classes')
        counts = masks.histograms(osp.join(runner.work_dir, 'class_histograms.npz'),
                                  workers=0 if len(masks) <= _IN_PROCESS else None)
        weights = enet_weights(counts.sum(axis=0))
        for loss in losses:
            loss.class_weight = weights
            # With class weights, mmseg averages over the labelled pixels anyway, and fails with this option.
            if getattr(loss, 'avg_non_ignore', False):
                loss.avg_non_ignore = False
        runner.logger.info('Weights of the classes: ' + ', '.join(
            f'{name} {weight:.3g}' for name, weight in zip(masks.classes, weights)))


def enet_weights(pixels: np.ndarray) -> List[float]:
    """The weight 1 / ln(1.02 + share) of each class, from its number of pixels, int (K,), not all 0."""
    return [float(weight) for weight in 1 / np.log(1.02 + pixels / pixels.sum())]


def _losses(head: Any) -> List[Any]:
    return list(head.loss_decode) if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]
