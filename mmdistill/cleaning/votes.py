"""Majority vote: a segmentor looks at all images of a mask."""
from typing import Callable

from torch import Tensor

from ..guidance.segmentation import class_scores


class MajorityVote:
    r"""Ignores the pixels on which most images of a mask contradict it, in all of them (MatchMask, CVPR 2026).

    Pixel p of a mask m with the images x_1 … x_K is ignored if

    .. math:: \#\{k : \arg\max_c f(x_k)_{p,c} \ne m_p\} > K / 2

    for a frozen segmentor f. One rule for all images: what most of them do not show is taken for a fault of the mask,
    or for something that the generator cannot draw there. The vote is known from a third party's note; that half of the
    images is no majority is ours.

    Args:
        segmentor: Images (B, 3, H, W) in [-1, 1] to scores (B, classes, h, w).
    """
    annotation = 'masks'
    needs = ('segmentor', )
    images_needed = 2

    def __init__(self, segmentor: Callable[[Tensor], Tensor]) -> None:
        self.segmentor = segmentor

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        """See :class:`~mmdistill.cleaning.base.LabelCleaner`; all (K, H, W) images get the same pixels."""
        seen = class_scores(self.segmentor, images, mask[None]).argmax(1)
        against = (seen != mask).sum(0)
        return (2 * against > len(images)).expand_as(seen)
