"""Label maps as images for a network. Labels are never read back from colours."""
from typing import Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DistillError
from ..masks import IGNORE


def render_palette(masks: Tensor, palette: Sequence[Sequence[int]]) -> Tensor:
    """Label maps (B, H, W) int64 to RGB (B, 3, H, W) in [0, 1]; ids without a colour (255) are black."""
    table = torch.zeros(256, 3)
    table[:len(palette)] = torch.tensor(palette, dtype=torch.float32) / 255
    return table.to(masks.device)[masks].permute(0, 3, 1, 2).contiguous()


def render_one_hot(masks: Tensor, num_classes: int, channels: int) -> Tensor:
    """Label maps (B, H, W) int64 to planes of 0 and 1, (B, channels, H, W): each class, and unlabelled if one more."""
    ids = torch.where(masks == IGNORE, num_classes, masks)
    return F.one_hot(ids, num_classes + 1)[..., :channels].permute(0, 3, 1, 2).float()


def same_colours(palette: Sequence[Sequence[int]], classes: Sequence[str]) -> List[Tuple[str, ...]]:
    """Groups of classes that a control image cannot tell apart, because they have one colour."""
    by_colour: Dict[tuple, List[str]] = {}
    for colour, name in zip(palette, classes):
        by_colour.setdefault(tuple(colour), []).append(name)
    return [tuple(names) for names in by_colour.values() if len(names) > 1]


def check_palette(palette: Optional[Sequence[Sequence[int]]], classes: Sequence[str], where: str) -> None:
    """Raise a DistillError where there is not one triple of 0..255 for each class."""
    if palette is None:
        raise DistillError(f"{where}: rendering='palette' needs a palette: one RGB triple per class")
    if len(palette) != len(classes):
        raise DistillError(f'{where}: palette: {len(palette)} colours for {len(classes)} classes: give one for each')
    for colour, name in zip(palette, classes):
        if len(colour) != 3 or not all(0 <= int(value) <= 255 for value in colour):
            raise DistillError(f'{where}: palette: {list(colour)} of class {name!r} is not three values in 0..255')
