"""Pixel alignment: agreement of a segmentor's prediction with the mask."""
from typing import Callable, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DistillError
from ..masks import IGNORE
from ..settings import validated
from .memo import BatchMemo


class SegmentationConsistency:
    r"""Cross-entropy of a frozen segmentor on the decoded image against the mask (D3S2's L_seg).

    .. math:: L_b = \sum_p w_p \, \mathrm{CE}(f(x_b)_p, m_{b,p}) \Big/ \sum_p w_p

    over the labelled pixels p of sample b. This is our reconstruction; the paper's exact form was not available.

    Args:
        segmentor: Images (B, 3, H, W) in [-1, 1] → logits (B, K, h, w), including its preprocessing; logits are resized
            to the mask bilinearly.
        weight: Factor in the sum of objectives.
        class_weight: ``'none'``: all pixels have equal weight; ``'balanced'``: all classes in the mask have equal
            weight, so that small objects matter.
        probabilities: Whether the segmentor returns scores in [0, 1] instead of logits, such as Mask2Former's semantic
            map, whose scores do not sum to 1. The loss is then -log of the score, clamped to [1e-6, 1].

    Example:
        >>> objective = SegmentationConsistency(lambda images: images[:, :2])  # logits of 2 classes
        >>> images = torch.zeros(1, 3, 4, 4)
        >>> round(objective(images, dict(mask=torch.ones(1, 4, 4, dtype=torch.long))).item(), 4)  # log 2
        0.6931
    """
    space = 'image'
    annotation = 'masks'
    needs = ('segmentor', )

    @validated
    def __init__(self, segmentor: Callable[[Tensor], Tensor], weight: float = 1.0,
                 class_weight: Literal['none', 'balanced'] = 'none', probabilities: bool = False):
        self.segmentor, self.weight, self.class_weight = segmentor, weight, class_weight
        self.probabilities, self._memo = probabilities, BatchMemo()

    def __call__(self, x: Tensor, batch) -> Tensor:
        """Losses (B,) of images (B, 3, H, W) with ``batch['mask']`` (B, H, W); 0 for masks without labels."""
        mask = batch['mask']
        losses = pixel_losses(self.segmentor, x, mask, self.probabilities, self._highest).flatten(1)
        labelled = mask != IGNORE
        weights = labelled.flatten(1).to(losses.dtype)
        if self.class_weight == 'balanced':
            # Number of pixels of each pixel's class in its sample; ignored pixels are counted separately.
            ids = mask.flatten(1)
            counts = torch.zeros(len(ids), IGNORE + 1, dtype=torch.long, device=ids.device)
            weights = weights / counts.scatter_add_(1, ids, torch.ones_like(ids)).gather(1, ids)
        return (weights * losses).sum(1) / weights.sum(1).clamp_min(torch.finfo(losses.dtype).tiny)

    def _highest(self, mask: Tensor) -> int:
        return self._memo(mask, 'highest', highest_id, mask)


def highest_id(mask: Tensor) -> int:
    """The highest class id in masks (B, H, W), 0 without labels; waits for the device."""
    return int(mask.masked_fill(mask == IGNORE, 0).max())


def class_scores(segmentor: Callable[[Tensor], Tensor], images: Tensor, mask: Tensor,
                 highest: Callable[[Tensor], int] = highest_id) -> Tensor:
    """Scores of a segmentor, resized bilinearly to the masks.

    Args:
        segmentor: See :class:`SegmentationConsistency`.
        images: (B, 3, H, W) in [-1, 1].
        mask: (B, H, W) int64.
        highest: :func:`highest_id`, or a function that remembers its result.

    Returns:
        (B, K, H, W).

    Raises:
        DistillError: A mask has a class that the segmentor lacks.
    """
    scores = segmentor(images)
    classes = scores.shape[1]
    if (found := highest(mask)) >= classes:
        raise DistillError(f'the segmentor has {classes} classes, a mask shows id {found}: set a '
                           'segmentor of the same classes')
    if scores.shape[-2:] != mask.shape[-2:]:
        scores = F.interpolate(scores, mask.shape[-2:], mode='bilinear', align_corners=False)
    return scores


def pixel_losses(segmentor: Callable[[Tensor], Tensor], images: Tensor, mask: Tensor, probabilities: bool = False,
                 highest: Callable[[Tensor], int] = highest_id) -> Tensor:
    """Cross-entropy of a segmentor per pixel, (B, H, W); 0 where the mask is 255.

    Args:
        segmentor, probabilities: See :class:`SegmentationConsistency`.
        images: (B, 3, H, W) in [-1, 1].
        mask: (B, H, W) int64, 255 = ignore.
        highest: See :func:`class_scores`.
    """
    scores = class_scores(segmentor, images, mask, highest)
    logs = scores.clamp(1e-6, 1).log() if probabilities else scores.log_softmax(1)
    return F.nll_loss(logs, mask, ignore_index=IGNORE, reduction='none')
