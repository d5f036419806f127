"""Losses for training students."""
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
    r"""Distillation loss :math:`\frac1N\sum_n KL(p_n\,\|\,softmax(s_n/T))`, with the teacher's p = softmax(t/T).

    Use it as the ``loss`` of mmpretrain's heads, which pass ``gt_score``: **probabilities at the same temperature T**,
    not logits, so that CutMix and Mixup mix distributions. As in FKD (arXiv 2112.01528), SRe2L, RDED and D4M, there is
    no factor :math:`T^2`. Gradients therefore shrink with T; the learning rates of these protocols (AdamW) account
    for this.

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
        """Compute the loss, a scalar.

        Args:
            cls_score: Logits of the student (N, K).
            target: Probabilities of the teacher (N, K).
            weight: Weights of the samples (N,); default: 1.
            avg_factor: Divisor of the sum over the batch; default: N.

        Raises:
            DistillError: The targets have another shape or are not probabilities.
        """
        if target.shape != cls_score.shape:
            raise DistillError(f'TemperatureKLLoss needs soft labels (gt_score) of shape {tuple(cls_score.shape)}, not '
                               f'{tuple(target.shape)}: give the training set soft labels')
        # Tolerance 1e-2, since labels are stored in half precision.
        if target.min() < 0 or (target.sum(dim=1) - 1).abs().max() > 1e-2:
            raise DistillError('TemperatureKLLoss needs probabilities in gt_score, rows that sum to 1: apply '
                               f'softmax(logits / {self.temperature:g}) to the teacher\'s logits; for a set with '
                               'weights, wrap the loss: dict(type=\'mmdistill.WeightedLoss\', loss=...)')
        log_student = F.log_softmax(_at_least_float32(cls_score) / self.temperature, dim=1)
        target = target.to(log_student.dtype)
        if weight is None:
            loss = F.kl_div(log_student, target, reduction='sum')
        else:
            loss = (F.kl_div(log_student, target, reduction='none').sum(1) * weight).sum()
        return loss / (len(cls_score) if avg_factor is None else avg_factor)


@MODELS.register_module()
class WeightedLoss(nn.Module):
    r"""A classification loss for images with weights, :math:`\sum_n w_n \ell_n / \sum_n w_n` (DDOQ, ICLR 2026).

    With ``mmdistill.DistilledDataset(weights=True)``, the target (``gt_score``) of an image is its weight times the
    one-hot label. CutMix and Mixup mix these targets like one-hot labels. Every target is then split into its sum
    :math:`w_n` and its distribution, which is passed to the inner loss. If the inner loss is linear in the distribution
    (as cross-entropy is, with or without label smoothing), the loss of a mixed image is the sum over its parts,
    weighted by their areas and weights.

    Class ids and targets that sum to 1 have weight 1.

    Args:
        loss: Config of the inner loss of mmpretrain or mmdistill, which must take ``weight`` and ``avg_factor``.

    Raises:
        DistillError: The inner loss takes no ``weight`` or no ``avg_factor``.

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
        """The loss, a scalar, for logits (N, K) and targets (N, K) or class ids (N,); 0 if all weights are 0."""
        if target.ndim == 1:
            return self.loss(cls_score, target, avg_factor=avg_factor, **kwargs)
        cls_score = _at_least_float32(cls_score)
        target = target.to(cls_score.dtype)
        weight = target.sum(1)
        # The distribution of an image with weight 0 is irrelevant.
        rows = torch.where(weight[:, None] > 0, target / weight[:, None].clamp_min(_TINY), 1 / target.shape[1])
        return self.loss(cls_score, rows, weight=weight, avg_factor=weight.sum().clamp_min(_TINY), **kwargs)


def _at_least_float32(values: Tensor) -> Tensor:
    """Half precision cannot hold small divisors, such as ``_TINY``, or sums over a batch."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def inner_loss(loss: Any) -> Any:
    """The loss inside a :class:`WeightedLoss`; another loss is returned unchanged."""
    return loss.loss if isinstance(loss, WeightedLoss) else loss
