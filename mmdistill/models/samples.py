"""What trainings read from mmseg's data samples."""
from typing import Any, Sequence

import torch
from torch import Tensor

from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE


def masks_of(data_samples: Sequence[Any], num_classes: int, key: str) -> Tensor:
    """The masks of a batch, int64 (B, H, W).

    Args:
        data_samples: mmseg's samples, with ``gt_sem_seg``.
        num_classes: Number of classes that the model knows.
        key: Key of this number in the config, for messages.

    Raises:
        DistillError: A mask is missing, has several channels, or an id that the model does not know.
    """
    for sample in data_samples:
        if getattr(sample, 'gt_sem_seg', None) is None:
            raise DistillError(f'{sample.get("img_path")}: the sample has no mask: add LoadAnnotations to the pipeline '
                               'of the dataset')
        if sample.gt_sem_seg.data.ndim != 3 or len(sample.gt_sem_seg.data) != 1:
            raise DistillError(f'{sample.get("seg_map_path")}: a mask has one channel, whose values are the class ids, '
                               'and this one has several: save it as a grey or palette PNG')
    masks = torch.stack([sample.gt_sem_seg.data[0] for sample in data_samples]).long()
    wrong = (masks < 0) | (masks >= num_classes) & (masks != IGNORE)
    if wrong.any():  # one synchronisation with the GPU per batch
        row = int(wrong.flatten(1).any(1).nonzero()[0])
        ids = masks[row][wrong[row]]
        raise DistillError(f'{data_samples[row].get("seg_map_path")}: id {int(ids[0])} in {len(ids)} pixels, but the '
                           f'classes are 0..{num_classes - 1}, and {IGNORE} is ignored: correct the mask, the list of '
                           f'classes and {key}')
    return masks
