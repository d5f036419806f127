"""What a cleaner is, several together, and how much they ignore."""
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence

import torch
from torch import Tensor

from ..masks import IGNORE


class LabelCleaner(Protocol):
    """Says which pixels of generated images lose their label.

    Attributes:
        annotation: ``'masks'``.
        needs: What its constructor is given by the run instead of the config; see
            :class:`~mmdistill.guidance.base.Objective`.
        images_needed: How many images of a mask it needs; 1 where it has none.
    """

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        """(K, H, W) bool: the pixels to ignore in each image.

        Args:
            images: (K, 3, H, W) in [-1, 1], all made for one mask.
            mask: (H, W) int64, 255 = ignored.
        """


class IgnoredPixels:
    """Counts of labelled pixels, and of those that lose their label, by class.

    Args:
        names: Of the cleaners.
        num_classes: K.

    Attributes:
        labelled: (K,) int64: pixels of the images by the class of their mask.
        ignored: (names + 1, K) int64: pixels that each cleaner ignores, and in the last row any of them.
    """

    def __init__(self, names: Sequence[str], num_classes: int) -> None:
        self.names = [*names, 'all'] if len(names) > 1 else list(names)
        self.labelled = torch.zeros(num_classes, dtype=torch.long)
        self.ignored = torch.zeros(len(names) + 1, num_classes, dtype=torch.long)

    def see(self, mask: Tensor, ignored: Sequence[Tensor]) -> None:
        """Take in the images of a mask (H, W); (K, H, W) bool by each cleaner, and by any."""
        classes = len(self.labelled)
        for row, pixels in enumerate(ignored):
            ids = mask.expand_as(pixels)[pixels]
            self.ignored[row] += torch.bincount(ids[ids != IGNORE], minlength=classes).cpu()
        self.labelled += len(ignored[0]) * torch.bincount(mask[mask != IGNORE], minlength=classes).cpu()

    def shares(self, classes: Sequence[str]) -> Dict[str, Dict[str, Any]]:
        """By cleaner, and for ``'all'`` of several: the ``share`` of the labelled pixels that it ignores, 0..1, and of
        each class's in ``classes``; None for a class without pixels. JSON values."""
        def share(ignored: Tensor, labelled: Tensor) -> Optional[float]:
            return round(int(ignored) / int(labelled), 6) if labelled else None

        return {name: dict(share=share(row.sum(), self.labelled.sum()),
                           classes={one: share(*counts) for one, *counts in zip(classes, row, self.labelled)})
                for name, row in zip(self.names, self.ignored if len(self.names) > 1 else self.ignored[:1])}


@torch.no_grad()
def clean_masks(cleaners: Mapping[str, LabelCleaner], images: Tensor, mask: Tensor, counts: IgnoredPixels) -> Tensor:
    """The masks (K, H, W) int64 of images of one mask, 255 wherever a cleaner says so.

    Every cleaner sees the mask as it was, so that their order does not matter.

    Args:
        cleaners: By name, in the order of ``counts``.
        images: (K, 3, H, W) in [-1, 1].
        mask: (H, W) int64.
        counts: Takes in what is ignored.
    """
    ignored: List[Tensor] = [cleaner(images, mask) & (mask != IGNORE) for cleaner in cleaners.values()]
    together = torch.stack(ignored).any(0)
    counts.see(mask, [*ignored, together])
    return mask.expand_as(together).masked_fill(together, IGNORE)
