"""Loss threshold: what is much harder to see in a generated image than in real ones."""
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
    """The mean loss of a segmentor in each class of the real images: cross-entropy, over pixels.

    Args:
        num_classes: K.
        probabilities: See :class:`~mmdistill.guidance.SegmentationConsistency`.
        fingerprint: Names what was measured; kept in the file.

    Attributes:
        seen_: The images that were taken in.
        sums, counts: (K,) float64 and int64: loss and number of the pixels.
    """

    def __init__(self, num_classes: int, probabilities: bool = False, fingerprint: str = '') -> None:
        self.probabilities, self.fingerprint = probabilities, fingerprint
        self.seen_ = 0
        self.sums = torch.zeros(num_classes, dtype=torch.float64)
        self.counts = torch.zeros(num_classes, dtype=torch.long)

    @property
    def means(self) -> Tensor:
        """(K,) float64; NaN for a class without pixels."""
        return self.sums / self.counts

    @torch.no_grad()
    def fit(self, segmentor: Callable[[Tensor], Tensor], images: Tensor, masks: Tensor) -> 'ClassLosses':
        """Take in a batch: images (B, 3, H, W) in [-1, 1] and masks (B, H, W) int64, 255 = ignored."""
        losses, labelled = pixel_losses(segmentor, images, masks, self.probabilities), masks != IGNORE
        ids, classes = masks[labelled].cpu(), len(self.sums)
        self.sums += torch.bincount(ids, losses[labelled].double().cpu(), minlength=classes)
        self.counts += torch.bincount(ids, minlength=classes)
        self.seen_ += len(images)
        return self

    def merge(self, other: 'ClassLosses') -> 'ClassLosses':
        """Take in those of other images."""
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
        """Read back; the file has to be there, readable and of this ``fingerprint`` (None: of any)."""
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
    r"""Ignores pixels with a larger loss than their class has in real images (FreeMask, arXiv 2310.15160).

    Pixel p of an image x with the mask m is ignored if

    .. math:: -\log \mathrm{softmax}(f(x))_{p, m_p} > \tau \, \bar L_{m_p}

    with the mean loss :math:`\bar L_c` of the frozen segmentor f over the pixels of class c in the real images. A class
    that those do not show is left as it is.

    Args:
        segmentor: Images (B, 3, H, W) in [-1, 1] to logits (B, K, h, w), or to scores, as ``losses`` says.
        class_losses: Of the same segmentor over the real images.
        factor: :math:`\tau`.
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
        # The id of ignored pixels has no mean; they have lost their label anyway.
        limits = self.factor * means[mask.masked_fill(mask == IGNORE, 0)]
        return losses > limits
