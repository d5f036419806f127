"""Agreement of a segmentation network's predictions with the masks of a set."""
from itertools import groupby, islice
from typing import Callable, Dict

import numpy as np
import torch
from torch import Tensor, nn

from mmdistill.datasets.masks import DatasetMasks
from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE


def judge_agreement(segmentor: Callable[[Tensor], Tensor], masks: DatasetMasks, batch_size: int = 16
                    ) -> Dict[str, float]:
    """mIoU between the predictions of a judge network and the masks of a set.

    The judge must not have guided the generation of the images. The reference for the score of a distilled set is the
    score of the same judge on held-out real pairs.

    Args:
        segmentor: Images (B, 3, H, W) at their original size, RGB in [-1, 1] → logits (B, K, H, W), such as
            :class:`mmdistill.models.SegmentorGuide`. A module is called on the device of its weights.
        masks: The set, K classes.
        batch_size: Images per forward pass; a batch holds images of one size.

    Returns:
        dict: ``mIoU`` and one ``IoU.{class}`` per class, in percent, as in :class:`~mmdistill.evaluation.ClassIoU`.

    Raises:
        DistillError: The logits have another shape, a pair is unreadable, or no pixel is labelled.
    """
    classes = len(masks.classes)
    device = next(segmentor.parameters()).device if isinstance(segmentor, nn.Module) else 'cpu'
    confusion = np.zeros((classes, classes), np.int64)  # rows: class in the mask; columns: predicted class
    pairs = (masks.pair(index, masks.checked_mask(index).shape) for index in range(len(masks)))
    for size, of_one_size in groupby(pairs, key=lambda pair: pair[1].shape):
        while batch := list(islice(of_one_size, batch_size)):
            images, targets = (np.stack(arrays) for arrays in zip(*batch))
            with torch.no_grad():
                logits = segmentor(torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1)
            if tuple(logits.shape) != (len(batch), classes, *size):
                raise DistillError(f'the judge gives logits of shape {tuple(logits.shape)} for {len(batch)} images of '
                                   f'{size[0]}x{size[1]} pixels and {classes} classes: give it a segmentor of the same '
                                   'classes')
            labelled = targets != IGNORE
            cells = targets[labelled].astype(np.int64) * classes + logits.argmax(1).cpu().numpy()[labelled]
            confusion += np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    if not confusion.any():
        raise DistillError('no mask has a labelled pixel, so the judge cannot be compared with the masks')
    hits = confusion.diagonal()
    with np.errstate(invalid='ignore'):
        ious = 100 * hits / (confusion.sum(axis=0) + confusion.sum(axis=1) - hits)
    return dict(mIoU=float(np.nanmean(ious)), **{f'IoU.{name}': float(iou) for name, iou in zip(masks.classes, ious)})
