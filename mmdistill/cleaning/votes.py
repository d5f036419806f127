"""Majority vote of a segmentor's predictions over all images of a mask."""
from typing import Callable

from torch import Tensor

from ..guidance.segmentation import class_scores


class MajorityVote:
    r"""Ignores, in all images of a mask, the pixels where most images disagree with the mask (MatchMask, CVPR 2026).

    Pixel p of a mask m with the images x_1 … x_K is ignored if

    .. math:: \#\{k : \arg\max_c f(x_k)_{p,c} \ne m_p\} > K / 2

    for a frozen segmentor f. If most images do not show the class of the mask at a pixel, either the mask is assumed to
    be wrong, or the generator cannot draw this class there. We know the vote only from a description by others. Exactly
    half of the images are not a majority; this is our choice.

    Args:
        segmentor: Images (B, 3, H, W) in [-1, 1] → scores (B, classes, h, w).

    Example:
        >>> import torch
        >>> images = torch.tensor([1.0, 1.0, -1.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)  # bright, bright, dark
        >>> vote = MajorityVote(lambda x: torch.stack([-x[:, 0], x[:, 0]], 1))  # class 1 is bright
        >>> vote(images, mask=torch.tensor([[0, 0], [1, 1]]))[0]
        tensor([[ True,  True],
                [False, False]])
    """
    annotation = 'masks'
    needs = ('segmentor', )
    images_needed = 2

    def __init__(self, segmentor: Callable[[Tensor], Tensor]) -> None:
        self.segmentor = segmentor

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        """See :class:`~mmdistill.cleaning.base.LabelCleaner`; the pixels are the same for all K images."""
        seen = class_scores(self.segmentor, images, mask[None]).argmax(1)
        against = (seen != mask).sum(0)
        return (2 * against > len(images)).expand_as(seen)
