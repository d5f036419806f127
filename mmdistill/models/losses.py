"""Losses of students."""
from typing import Optional

from torch import Tensor, nn
from torch.nn import functional as F

from mmdistill.errors import DistillError
from mmdistill.registry import MODELS
from mmdistill.settings import Positive, validated


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

    def forward(self, cls_score: Tensor, target: Tensor, avg_factor: Optional[int] = None) -> Tensor:
        """The loss, a scalar, of the student's logits (N, K) and the teacher's probabilities (N, K).

        The sum over the batch is divided by ``avg_factor``, or by N.
        """
        if target.shape != cls_score.shape:
            raise DistillError(f'TemperatureKLLoss needs soft labels (gt_score) of shape {tuple(cls_score.shape)}, not '
                               f'{tuple(target.shape)}: give the training set soft labels')
        # 1e-2: labels are stored in half precision.
        if target.min() < 0 or (target.sum(dim=1) - 1).abs().max() > 1e-2:
            raise DistillError('TemperatureKLLoss needs probabilities in gt_score, rows that sum to 1: apply '
                               f'softmax(logits / {self.temperature:g}) to the teacher\'s logits')
        log_student = F.log_softmax(cls_score / self.temperature, dim=1)
        loss = F.kl_div(log_student, target.to(log_student.dtype), reduction='sum')
        return loss / (avg_factor or len(cls_score))
