"""Renders masks as control images. Labels are never read back from colours."""
from typing import Dict, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DistillError
from ..masks import IGNORE
from .coco_panoptic import panoptic_palette


def render_palette(masks: Tensor, palette: Sequence[Sequence[int]]) -> Tensor:
    """Masks (B, H, W) int64 → RGB (B, 3, H, W) in [0, 1]; ids without a colour (255) are black."""
    table = torch.zeros(256, 3)
    table[:len(palette)] = torch.tensor(palette, dtype=torch.float32) / 255
    return table.to(masks.device)[masks].permute(0, 3, 1, 2).contiguous()


def render_one_hot(masks: Tensor, num_classes: int, channels: int) -> Tensor:
    """Masks (B, H, W) int64 → one-hot (B, channels, H, W): one channel per class, and optionally one for unlabelled."""
    ids = torch.where(masks == IGNORE, num_classes, masks)
    return F.one_hot(ids, num_classes + 1)[..., :channels].permute(0, 3, 1, 2).float()


def same_colours(palette: Sequence[Sequence[int]], classes: Sequence[str]) -> List[Tuple[str, ...]]:
    """Groups of classes with the same colour, which a control image cannot distinguish."""
    by_colour: Dict[tuple, List[str]] = {}
    for colour, name in zip(palette, classes):
        by_colour.setdefault(tuple(colour), []).append(name)
    return [tuple(names) for names in by_colour.values() if len(names) > 1]


def resolve_palette(palette: Union[None, str, Sequence[Sequence[int]]], classes: Sequence[str], where: str
                    ) -> Tuple[Sequence[Sequence[int]], List[str]]:
    """The colours for the setting ``palette`` of a generator.

    Args:
        palette: An RGB triple per class, or ``'coco_panoptic'`` (:func:`~.coco_panoptic.panoptic_palette`).
        classes: Names of the classes.
        where: Key in the config, for messages.

    Returns:
        An RGB triple per class, and sentences about classes that share a colour.

    Raises:
        DistillError: The palette is invalid.
    """
    if isinstance(palette, str):
        panoptic, remark = panoptic_palette(classes, where)
        return panoptic, [remark]
    colours = check_palette(palette, classes, where)
    return colours, [f'{", ".join(names)} have one colour: the ControlNet cannot tell them apart'
                     for names in same_colours(colours, classes)]


def check_palette(palette: Optional[Sequence[Sequence[int]]], classes: Sequence[str], where: str
                  ) -> Sequence[Sequence[int]]:
    """Return the palette; raises a DistillError unless it has one RGB triple in 0..255 per class."""
    if palette is None:
        raise DistillError(f'{where} needs a palette, since it sees masks as colours: give metainfo.palette of the '
                           'dataset one RGB triple per class, those of its training')
    if len(palette) != len(classes):
        raise DistillError(f'{where}: palette: {len(palette)} colours for {len(classes)} classes: give one for each')
    for colour, name in zip(palette, classes):
        if len(colour) != 3 or not all(0 <= int(value) <= 255 for value in colour):
            raise DistillError(f'{where}: palette: {list(colour)} of class {name!r} is not three values in 0..255')
    return palette
