"""Loss threshold: ignores pixels whose segmentation loss is much larger than in real images."""
import json
from pathlib import Path
from typing import Callable, Optional

import torch
from torch import Tensor

from ..cache import load_measured
from ..files import write_json
from ..guidance.segmentation import pixel_losses
from ..masks import IGNORE
from ..settings import Positive, validated


class ClassLosses:
    """Mean cross-entropy loss of a segmentor per class, over the pixels of real images.

    Args:
        num_classes: Number of classes K.
        probabilities: See :class:`~mmdistill.guidance.SegmentationConsistency`.
        fingerprint: Identifies the data and the segmentor; saved in the file.

    Attributes:
        seen_: Number of images so far.
        sums, counts: (K,) float64 and int64, sum of the losses and number of pixels per class.
    """

    def __init__(self, num_classes: int, probabilities: bool = False, fingerprint: str = '') -> None:
        self.probabilities, self.fingerprint = probabilities, fingerprint
        self.seen_ = 0
        self.sums = torch.zeros(num_classes, dtype=torch.float64)
        self.counts = torch.zeros(num_classes, dtype=torch.long)

    @property
    def means(self) -> Tensor:
        """Mean loss per class, (K,) float64; NaN for a class without pixels."""
        return self.sums / self.counts

    @torch.no_grad()
    def fit(self, segmentor: Callable[[Tensor], Tensor], images: Tensor, masks: Tensor) -> 'ClassLosses':
        """Add a batch.

        Args:
            segmentor: The segmentor, see :class:`LossThreshold`.
            images: (B, 3, H, W) in [-1, 1].
            masks: (B, H, W) int64, 255 = ignored.
        """
        losses, labelled = pixel_losses(segmentor, images, masks, self.probabilities), masks != IGNORE
        ids, classes = masks[labelled].cpu(), len(self.sums)
        self.sums += torch.bincount(ids, losses[labelled].double().cpu(), minlength=classes)
        self.counts += torch.bincount(ids, minlength=classes)
        self.seen_ += len(images)
        return self

    def merge(self, other: 'ClassLosses') -> 'ClassLosses':
        """Add the losses of other images."""
        self.sums += other.sums
        self.counts += other.counts
        self.seen_ += other.seen_
        return self

    def save(self, path) -> None:
        """Write as JSON, atomically."""
        write_json(path, dict(probabilities=self.probabilities, fingerprint=self.fingerprint, seen=self.seen_,
                              sums=self.sums.tolist(), counts=self.counts.tolist()))

    @classmethod
    def load(cls, path, fingerprint: Optional[str] = None) -> 'ClassLosses':
        """Read a file of :meth:`save`.

        Raises:
            DistillError: The file is missing or unreadable, or has another ``fingerprint`` (None accepts any).
        """
        return load_measured(path, cls._read, 'class losses', fingerprint)

    @classmethod
    def _read(cls, path) -> 'ClassLosses':
        values = json.loads(Path(path).read_text())
        losses = cls(len(values['sums']), values['probabilities'], values['fingerprint'])
        losses.seen_ = values['seen']
        losses.sums = torch.tensor(values['sums'], dtype=torch.float64)
        losses.counts = torch.tensor(values['counts'], dtype=torch.long)
        return losses


class LossThreshold:
    r"""Ignores pixels whose loss is larger than in real images (FreeMask, arXiv 2310.15160).

    Pixel p of an image x with the mask m is ignored if

    .. math:: -\log \mathrm{softmax}(f(x))_{p, m_p} > \tau \, \bar L_{m_p}

    where :math:`\bar L_c` is the mean loss of the frozen segmentor f over the pixels of class c in the real images.
    Pixels of a class that is not in the real images are never ignored.

    Args:
        segmentor: Images (B, 3, H, W) in [-1, 1] → logits (B, K, h, w), or probabilities, according to
            ``class_losses``.
        class_losses: Losses of the same segmentor on the real images.
        factor: :math:`\tau` > 0.

    Example:
        >>> def segmentor(images):
        ...     return images[:, :2]  # logits of 2 classes
        >>> real, mask = torch.zeros(1, 3, 1, 2), torch.zeros(1, 1, 2, dtype=torch.long)
        >>> threshold = LossThreshold(segmentor, ClassLosses(2).fit(segmentor, real, mask))
        >>> generated = torch.tensor([[[[0.0, -1.0]], [[0.0, 1.0]], [[0.0, 0.0]]]])  # the second pixel is class 1
        >>> threshold(generated, mask[0])
        tensor([[[False,  True]]])
    """
    annotation = 'masks'
    needs = dict(segmentor=(), class_losses=('probabilities', ))

    @validated
    def __init__(self, segmentor: Callable[[Tensor], Tensor], class_losses: ClassLosses, factor: Positive = 1.25):
        self.segmentor, self.class_losses, self.factor = segmentor, class_losses, factor

    def __call__(self, images: Tensor, mask: Tensor) -> Tensor:
        """See :class:`~mmdistill.cleaning.base.LabelCleaner`."""
        masks = mask.expand(len(images), *mask.shape)
        losses = pixel_losses(self.segmentor, images, masks, self.class_losses.probabilities)
        means = self.class_losses.means.to(mask.device)
        # Ignored pixels have no mean loss; their limit is irrelevant.
        limits = self.factor * means[mask.masked_fill(mask == IGNORE, 0)]
        return losses > limits
