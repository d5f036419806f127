"""Interface of label cleaners, cleaning with several of them, and statistics of ignored pixels."""
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence

import torch
from torch import Tensor

from ..masks import IGNORE


class LabelCleaner(Protocol):
    """Decides which pixels of generated images are ignored in training.

    Attributes:
        annotation: Always ``'masks'``.
        needs: Constructor arguments that the run provides instead of the config; see
            :class:`~mmdistill.guidance.base.Objective`.
        images_needed: Minimum number of images per mask; default 1.
    """

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        """Find the pixels to ignore.

        Args:
            images: (K, 3, H, W) in [-1, 1], all generated for one mask.
            mask: (H, W) int64, 255 = ignored.

        Returns:
            (K, H, W) bool, the pixels to ignore in each image.
        """


class IgnoredPixels:
    """Counts labelled pixels and ignored pixels per class.

    Args:
        names: Names of the cleaners.
        num_classes: Number of classes K.

    Attributes:
        labelled: (K,) int64, labelled pixels of each class.
        ignored: (cleaners + 1, K) int64, pixels ignored by each cleaner and, in the last row, by any of them.

    Example:
        >>> counts, ignored = IgnoredPixels(['MajorityVote'], num_classes=2), torch.tensor([[[True, False, False]]])
        >>> counts.add(torch.tensor([[0, 0, 1]]), [ignored, ignored])
        >>> counts.shares(['sky', 'road'])
        {'MajorityVote': {'share': 0.333333, 'classes': {'sky': 0.5, 'road': 0.0}}}
    """

    def __init__(self, names: Sequence[str], num_classes: int) -> None:
        self.names = [*names, 'all'] if len(names) > 1 else list(names)
        self.labelled = torch.zeros(num_classes, dtype=torch.long)
        self.ignored = torch.zeros(len(names) + 1, num_classes, dtype=torch.long)

    def add(self, mask: Tensor, ignored: Sequence[Tensor]) -> None:
        """Add the images of a mask.

        Args:
            mask: (H, W) int64.
            ignored: (K, H, W) bool for each cleaner; the last entry is their union.
        """
        classes = len(self.labelled)
        for row, pixels in enumerate(ignored):
            ids = mask.expand_as(pixels)[pixels]
            self.ignored[row] += torch.bincount(ids[ids != IGNORE], minlength=classes).cpu()
        self.labelled += len(ignored[0]) * torch.bincount(mask[mask != IGNORE], minlength=classes).cpu()

    def shares(self, classes: Sequence[str]) -> Dict[str, Dict[str, Any]]:
        """Shares of ignored pixels as JSON values.

        Returns:
            By name of the cleaner, and ``'all'`` if there are several: ``share`` of the labelled pixels, 0..1, and
            ``classes``, the share for each class; None for a class without pixels.
        """
        def share(ignored: Tensor, labelled: Tensor) -> Optional[float]:
            return round(int(ignored) / int(labelled), 6) if labelled else None

        return {name: dict(share=share(row.sum(), self.labelled.sum()),
                           classes={label: share(*counts) for label, *counts in zip(classes, row, self.labelled)})
                for name, row in zip(self.names, self.ignored if len(self.names) > 1 else self.ignored[:1])}


@torch.no_grad()
def clean_masks(cleaners: Mapping[str, LabelCleaner], images: Tensor, mask: Tensor, counts: IgnoredPixels) -> Tensor:
    """Apply several cleaners to the images of one mask.

    Every cleaner gets the original mask, so their order does not matter.

    Args:
        cleaners: Cleaners by name, in the order of ``counts``.
        images: (K, 3, H, W) in [-1, 1].
        mask: (H, W) int64.
        counts: Statistics that are updated.

    Returns:
        (K, H, W) int64, the mask of each image, 255 where any cleaner ignores the pixel.
    """
    ignored: List[Tensor] = [cleaner(images, mask) & (mask != IGNORE) for cleaner in cleaners.values()]
    together = torch.stack(ignored).any(0)
    counts.add(mask, [*ignored, together])
    return mask.expand_as(together).masked_fill(together, IGNORE)
