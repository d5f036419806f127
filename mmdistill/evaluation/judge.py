"""Whether a segmentor sees in the images what their masks say."""
from typing import Callable, Dict, List, Tuple

import numpy as np
import torch
from mmengine.utils import ProgressBar
from torch import Tensor, nn

from mmdistill.datasets.masks import DatasetMasks
from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE


def judge_agreement(segmentor: Callable[[Tensor], Tensor],
                    masks: DatasetMasks,
                    batch_size: int = 16,
                    *,
                    progress: bool = False) -> Dict[str, float]:
    """Agreement of a judge network with the masks of a set, at the images' own size.

    A judge that took no part in the making of the images tells how well they follow their masks; its own errors on
    real images are the bar: measure those with the same call on held-out real pairs.

    Args:
        segmentor: Images (B, 3, H, W), RGB in [-1, 1] → logits (B, K, H, W), such as
            :class:`mmdistill.models.SegmentorGuide`. A module is called on the device of its weights.
        masks: The set, K classes.
        batch_size: Images that the segmentor sees at once; they are of one size.
        progress: Whether to show a progress bar.

    Returns:
        dict: ``mIoU`` and one ``IoU.{class}`` a class, in points, 0..100, from the pixels of all images together; NaN
        for a class that is neither in the masks nor predicted, which ``mIoU`` leaves out. Ignored pixels count
        nowhere.

    Raises:
        DistillError: The segmentor has other classes or another size, a pair is unreadable, or no pixel is labelled.
    """
    classes = len(masks.classes)
    parameter = next(segmentor.parameters(), None) if isinstance(segmentor, nn.Module) else None
    device = torch.device('cpu') if parameter is None else parameter.device
    confusion = np.zeros((classes, classes), np.int64)
    bar = ProgressBar(len(masks)) if progress else None
    batch: List[Tuple[np.ndarray, np.ndarray]] = []
    for index in range(len(masks)):
        pair = masks.pair(index, masks.checked_mask(index).shape)
        if batch and (len(batch) == batch_size or batch[0][1].shape != pair[1].shape):
            confusion += _confusion(segmentor, batch, classes, device)
            batch = []
        batch.append(pair)
        if bar:
            bar.update()
    confusion += _confusion(segmentor, batch, classes, device)
    if bar:
        bar.file.write('\n')
    if not confusion.any():
        raise DistillError('no mask has a labelled pixel: there is nothing for the judge to agree with')
    hits = confusion.diagonal()
    with np.errstate(invalid='ignore'):
        ious = 100 * hits / (confusion.sum(axis=0) + confusion.sum(axis=1) - hits)
    return dict(mIoU=float(np.nanmean(ious)), **{f'IoU.{name}': float(iou) for name, iou in zip(masks.classes, ious)})


def _confusion(segmentor: Callable[[Tensor], Tensor], batch: List[Tuple[np.ndarray, np.ndarray]], classes: int,
               device: torch.device) -> np.ndarray:
    """int64 (K, K): pixels by class of the mask (rows) and of the segmentor (columns)."""
    images, masks = (np.stack(arrays) for arrays in zip(*batch))
    inputs = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        logits = segmentor(inputs)
    if tuple(logits.shape) != (len(images), classes, *masks.shape[1:]):
        raise DistillError(f'the judge gives logits of shape {tuple(logits.shape)} for {len(images)} images of '
                           f'{masks.shape[1]}x{masks.shape[2]} pixels and {classes} classes: give it a segmentor of '
                           'the same classes')
    labelled = masks != IGNORE
    pairs = masks[labelled].astype(np.int64) * classes + logits.argmax(1).cpu().numpy()[labelled]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
