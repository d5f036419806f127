"""Label masks: ids, resizing and drawing."""
from typing import Any, Sequence, Tuple

import numpy as np
import torch
from torch.nn import functional as F

IGNORE = 255  # the train id of pixels without a label


def train_ids(reduce_zero_label: bool, label_map: Any = None) -> np.ndarray:
    """Lookup table (256,): id in a mask file → train id, as in mmseg's ``LoadAnnotations``.

    Args:
        reduce_zero_label: Applied first: 0 becomes 255, 255 stays, and other ids are decreased by one.
        label_map: Applied second: old id → new id (a mapping, pairs or None).
    """
    table: np.ndarray = np.arange(256)
    if reduce_zero_label:
        table = np.where((table == 0) | (table == IGNORE), IGNORE, table - 1)
    mapping = dict(label_map or ())
    return np.array([mapping.get(i, i) for i in table.tolist()])


def resize_mask(mask: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Resize a mask (h, w) uint8 to ``size`` (H, W) by nearest neighbour (pixel centres), so that ids are not mixed."""
    if mask.shape == tuple(size):
        return mask
    tensor = torch.from_numpy(np.ascontiguousarray(mask))[None, None]
    return F.interpolate(tensor, tuple(size), mode='nearest-exact')[0, 0].numpy()


def paint_mask(mask: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Mask uint8 (H, W) → RGB uint8 (H, W, 3); ids without a colour, such as 255, are black.

    Example:
        >>> paint_mask(np.array([[0, 255]], np.uint8), palette=[[0, 128, 255]]).tolist()
        [[[0, 128, 255], [0, 0, 0]]]
    """
    colours = np.zeros((256, 3), np.uint8)
    colours[:len(palette)] = palette
    return colours[mask]
