"""Label maps."""
from typing import Any, Sequence, Tuple

import numpy as np
import torch
from torch.nn import functional as F

IGNORE = 255  # the train id of pixels without a label


def train_ids(reduce_zero_label: bool, label_map: Any = None) -> np.ndarray:
    """Table (256,): the train id of each id in a mask file, as mmseg's ``LoadAnnotations`` changes them in its order.

    First ``reduce_zero_label`` (0 becomes 255, all others go down by one, 255 stays), then ``label_map``, new id by old
    id (a mapping, pairs or None).
    """
    table: np.ndarray = np.arange(256)
    if reduce_zero_label:
        table = np.where((table == 0) | (table == IGNORE), IGNORE, table - 1)
    mapping = dict(label_map or ())
    return np.array([mapping.get(i, i) for i in table.tolist()])


def resize_mask(mask: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Label map (h, w) uint8 → (H, W) uint8 by nearest neighbour (pixel centres), so that no id is mixed."""
    if mask.shape == tuple(size):
        return mask
    label_map = torch.from_numpy(np.ascontiguousarray(mask))[None, None]
    return F.interpolate(label_map, tuple(size), mode='nearest-exact')[0, 0].numpy()


def paint_mask(mask: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Label map uint8 (H, W) → RGB uint8 (H, W, 3); ids without a colour, as those of unlabelled pixels, are black."""
    colours = np.zeros((256, 3), np.uint8)
    colours[:len(palette)] = palette
    return colours[mask]
