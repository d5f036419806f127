"""Losses of students."""
import inspect
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdistill.errors import DistillError
from mmdistill.registry import MODELS
from mmdistill.settings import Positive, validated

_TINY = 1e-12


@MODELS.register_module()
class TemperatureKLLoss(nn.Module):
    r"""Distillation by soft labels: :math:`\frac1N\sum_n KL(p_n\,\|\,softmax(s_n/T))`, p = softmax(t/T) the teacher's.

    The ``loss`` of mmpretrain's heads, which pass ``gt_score``: **probabilities at the same temperature T**, not
    logits, so that CutMix and Mixup mix distributions. There is no factor :math:`T^2`, as in FKD (arXiv 2112.01528),
    SRe2L, RDED and D4M: the gradient shrinks with T, and the learning rates of their protocols (AdamW) go with that.

    Example:
        >>> head = dict(type='LinearClsHead', num_classes=10, in_channels=512,
        ...             loss=dict(type='mmdistill.TemperatureKLLoss', temperature=20))

    Args:
        temperature: T > 0.
    """

    @validated
    def __init__(self, temperature: Positive = 20.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, cls_score: Tensor, target: Tensor, weight: Optional[Tensor] = None,
                avg_factor: Union[None, int, Tensor] = None) -> Tensor:
        """The loss, a scalar, of the student's logits (N, K) and the teacher's probabilities (N, K).

        The sum over the batch, of samples times their ``weight`` (N,), is divided by ``avg_factor``, or by N.
        """
        if target.shape != cls_score.shape:
            raise DistillError(f'TemperatureKLLoss needs soft labels (gt_score) of shape {tuple(cls_score.shape)}, not '
                               f'{tuple(target.shape)}: give the training set soft labels')
        # 1e-2: labels are stored in half precision.
        if target.min() < 0 or (target.sum(dim=1) - 1).abs().max() > 1e-2:
            raise DistillError('TemperatureKLLoss needs probabilities in gt_score, rows that sum to 1: apply '
                               f'softmax(logits / {self.temperature:g}) to the teacher\'s logits; for a set with '
                               'weights, wrap the loss: dict(type=\'mmdistill.WeightedLoss\', loss=...)')
        log_student = F.log_softmax(cls_score / self.temperature, dim=1)
        target = target.to(log_student.dtype)
        if weight is None:
            loss = F.kl_div(log_student, target, reduction='sum')
        else:
            loss = (F.kl_div(log_student, target, reduction='none').sum(1) * weight).sum()
        return loss / (len(cls_score) if avg_factor is None else avg_factor)


@MODELS.register_module()
class WeightedLoss(nn.Module):
    r"""A loss of mmpretrain or of ours for images with weights: :math:`\sum_n w_n \ell_n / \sum_n w_n`.

    DDOQ (ICLR 2026). A ``mmdistill.DistilledDataset(weights=True)`` gives each image the target (``gt_score``) weight ×
    one-hot. CutMix and Mixup mix these as they mix one-hot rows, and every row of a batch is then split into its sum
    :math:`w_n` and its distribution, which the inner loss gets. Where that is linear in the distribution, as
    cross-entropy is, with label smoothing, too, a mixed image has the loss of its parts by share and weight.

    Targets of class ids, or rows that sum to 1, all weigh the same.

    Args:
        loss: Config of the inner loss, which takes the ``weight`` of each sample and an ``avg_factor``.

    Example:
        >>> head = dict(type='LinearClsHead', num_classes=10, in_channels=512, loss=dict(
        ...     type='mmdistill.WeightedLoss', loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)))
    """

    @validated
    def __init__(self, loss: dict) -> None:
        super().__init__()
        self.loss = MODELS.build(loss)
        if absent := {'weight', 'avg_factor'} - {*inspect.signature(self.loss.forward).parameters}:
            raise DistillError(f'WeightedLoss: {type(self.loss).__name__} takes no {min(absent)}, so it cannot weigh '
                               'images: use CrossEntropyLoss, LabelSmoothLoss or mmdistill.TemperatureKLLoss')

    def forward(self, cls_score: Tensor, target: Tensor, avg_factor: Optional[int] = None, **kwargs: Any) -> Tensor:
        """The loss, a scalar, of logits (N, K) and targets (N, K) or class ids (N,); 0 where all weights are 0."""
        if target.ndim == 1:
            return self.loss(cls_score, target, avg_factor=avg_factor, **kwargs)
        target = target.to(cls_score.dtype)
        weight = target.sum(1)
        # Any distribution will do for an image that does not count.
        rows = torch.where(weight[:, None] > 0, target / weight[:, None].clamp_min(_TINY), 1 / target.shape[1])
        return self.loss(cls_score, rows, weight=weight, avg_factor=weight.sum().clamp_min(_TINY), **kwargs)


def inner_loss(loss: Any) -> Any:
    """The loss inside of a :class:`WeightedLoss`; another one as it is."""
    return loss.loss if isinstance(loss, WeightedLoss) else loss
