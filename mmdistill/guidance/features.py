"""Class-wise feature matching: features of generated classes against those in the real training set."""
from functools import reduce
from typing import Callable, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..cache import load_measured, read_arrays, write_arrays
from ..errors import DistillError
from ..settings import Share, validated
from .memo import BatchMemo

# Added inside square roots, in statistics and loss, so that the gradient of a uniformly coloured class is finite.
EPS = 1e-5


def class_fractions(mask: Tensor, size: Sequence[int], classes: int) -> Tensor:
    """Area fraction of each class in each cell of a layer.

    Unlike in a nearest-neighbour reduction, a class that is smaller than a cell still has a share of it, so no class
    vanishes in coarse layers. Unlabelled pixels (255) belong to no class.

    Args:
        mask: (B, H, W) int64.
        size: (h, w) of the layer; if it is finer than the mask, the mask's pixels are repeated.
        classes: Number of classes K.

    Returns:
        (B, K, h * w).
    """
    (batch, height, width), (h, w) = mask.shape, size
    height, width = max(height, h), max(width, w)
    device = mask.device
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    mask = mask[:, y * mask.shape[1] // height][:, :, x * mask.shape[2] // width]
    cell = (y * h // height)[:, None] * w + x * w // width
    index = (torch.arange(batch, device=device)[:, None, None] * (h * w) + cell) * (classes + 1)
    counts = torch.bincount((index + mask.clamp_max(classes)).flatten(), minlength=batch * h * w * (classes + 1))
    sizes = torch.bincount(cell.flatten(), minlength=h * w)
    counts = counts.view(batch, h * w, classes + 1)[..., :classes]
    return (counts / sizes[:, None]).transpose(1, 2)


def class_moments(features: Tensor, fractions: Tensor) -> Tuple[Tensor, Tensor]:
    """Mean and variance of a layer's features inside each class.

    Args:
        features: (B, C, h, w).
        fractions: (B, K, h * w), see :func:`class_fractions`.

    Returns:
        Mean and variance, each (B, K, C); 0 for absent classes.
    """
    values = features.flatten(2).transpose(1, 2)
    shares = fractions / fractions.sum(2, keepdim=True).clamp_min(torch.finfo(fractions.dtype).tiny)
    # Centred first, since the difference of squares would be inaccurate for a small variance.
    centre = values.detach().mean(1, keepdim=True)
    values = values - centre
    present = (shares.sum(2, keepdim=True) > 0).to(values.dtype)
    mean = shares @ values
    variance = (shares @ values.square() - mean.square()).clamp_min(0)
    return mean + centre * present, variance


def large_enough(mask: Tensor, classes: int, min_area: float) -> Tensor:
    """Whether a class covers at least one pixel and the share ``min_area`` of the image, (B, K) bool."""
    area = class_fractions(mask, (1, 1), classes)[..., 0]
    return (area > 0) & (area >= min_area)


class ClassStatistics:
    """Mean and standard deviation of each class's features over a dataset, per layer.

    The statistics are computed in one streaming pass in float64. The region of a class in an image is weighted by its
    area. This is our reconstruction: it is not known whether D3S2 pools pixels or images.

    Args:
        num_classes: Number of classes K.
        min_area: A class with a smaller share of an image is ignored in that image.
        fingerprint: Identifies the data, the network and the layers; saved in the file.

    Attributes:
        images_: (K,) int64, number of images in which each class was measured.
        seen_: Number of all images so far.

    Example:
        >>> features = torch.tensor([[[[1.0, 3.0], [5.0, 5.0]]]])  # one image, one channel
        >>> statistics = ClassStatistics(2).fit([features], torch.tensor([[[0, 0], [1, 1]]]))
        >>> mean, deviation = statistics.layers[0]
        >>> mean.tolist()
        [[2.0], [5.0]]
    """

    def __init__(self, num_classes: int, min_area: float = 0.001, fingerprint: str = ''):
        self.num_classes, self.min_area, self.fingerprint = num_classes, min_area, fingerprint
        self.images_ = torch.zeros(num_classes, dtype=torch.long)
        self.seen_ = 0
        # Mass (K,), mean (K, C) and sum of squared deviations (K, C) of each layer.
        self._layers: List[Tuple[Tensor, Tensor, Tensor]] = []

    @property
    def layers(self) -> List[Tuple[Tensor, Tensor]]:
        """Mean and standard deviation of each layer, (K, C) float64; 0 and sqrt(EPS) for classes without pixels."""
        return [(mean, (squares / mass.clamp_min(1e-300)[:, None] + EPS).sqrt())
                for mass, mean, squares in self._layers]

    @torch.no_grad()
    def fit(self, features: List[Tensor], mask: Tensor) -> 'ClassStatistics':
        """Add a batch.

        Args:
            features: (B, C_l, h_l, w_l) features of each layer.
            mask: (B, H, W) int64, 255 = ignore.
        """
        used = large_enough(mask, self.num_classes, self.min_area)
        layers = []
        for layer in features:
            fractions = class_fractions(mask, layer.shape[-2:], self.num_classes).double() * used[..., None]
            mean, variance = class_moments(layer.to(torch.float64), fractions)
            mass = fractions.mean(2)  # share of the image, so that the size of the mask does not matter
            rows = zip(mass.cpu(), mean.cpu(), (variance * mass[..., None]).cpu())
            empty = torch.zeros(self.num_classes, layer.shape[1], dtype=torch.float64)
            layers.append(reduce(_merge, rows, (empty[:, 0], empty, empty)))
        return self._add(layers, used.sum(0).cpu(), len(mask))

    def merge(self, other: 'ClassStatistics') -> 'ClassStatistics':
        """Add the statistics of other images, which may be none.

        Raises:
            DistillError: They are of other layers or classes.
        """
        return self._add(other._layers, other.images_, other.seen_) if other.seen_ else self

    def _add(self, layers: List[Tuple[Tensor, Tensor, Tensor]], images: Tensor, seen: int) -> 'ClassStatistics':
        ours, theirs = ([tuple(mean.shape) for _, mean, _ in part] for part in (self._layers or layers, layers))
        if theirs != ours:
            raise DistillError(f'feature statistics of layers with (classes, channels) {ours} cannot be merged with '
                               f'those of {theirs}: measure both with the same network, layers and classes')
        self._layers = list(map(_merge, self._layers, layers)) if self._layers else layers
        self.images_ += images
        self.seen_ += seen
        return self

    def save(self, path) -> None:
        """Write as safetensors, atomically."""
        arrays = {f'{name}.{n}': value.numpy() for n, layer in enumerate(self._layers)
                  for name, value in zip(('mass', 'mean', 'squares'), layer)}
        write_arrays(path, dict(arrays, images=self.images_.numpy()), dict(
            num_classes=self.num_classes, min_area=self.min_area, fingerprint=self.fingerprint, seen=self.seen_))

    @classmethod
    def load(cls, path, fingerprint: Optional[str] = None) -> 'ClassStatistics':
        """Read a file of :meth:`save`.

        Raises:
            DistillError: The file is missing or unreadable, or has another ``fingerprint`` (None accepts any).
        """
        return load_measured(path, cls._read, 'feature statistics', fingerprint)

    @classmethod
    def _read(cls, path) -> 'ClassStatistics':
        arrays, header = read_arrays(path)
        seen = header.pop('seen')
        statistics = cls(**header)
        statistics.seen_, statistics.images_ = seen, torch.tensor(arrays['images'])
        mass, mean, squares = ([torch.tensor(arrays[f'{name}.{n}']) for n in range((len(arrays) - 1) // 3)]
                               for name in ('mass', 'mean', 'squares'))
        statistics._layers = list(zip(mass, mean, squares))
        return statistics


class ClassFeatureMatching:
    r"""Distance of each class's feature mean and deviation to those in the real training set (D3S2's L_feat).

    .. math:: L_b = \sum_l \frac1{s_l} \sum_{c \in m_b} \|\mu_{l,c}(x_b) - \mu^*_{l,c}\|^2
        + \|\sigma_{l,c}(x_b) - \sigma^*_{l,c}\|^2

    pooled inside the class's region at the resolution of each layer. This is our reconstruction; the paper's exact form
    was not available. The scale s_l is our choice: the sum over channels of the layer's mean variance. Without it, the
    layer with the largest values dominates.

    Args:
        extractor: Images (B, 3, H, W) in [-1, 1] → list of features (B, C_l, h_l, w_l).
        statistics: Statistics of the same extractor over the real training set.
        weight: Factor in the sum of objectives.
        min_area: A class with a smaller share of the image is ignored; default: ``min_area`` of the statistics.
        normalize: Whether to divide by s_l.

    Example:
        >>> images = torch.tensor([[[[-1.0, -1.0], [0.5, 1.0]]]]).expand(1, 3, 2, 2)
        >>> mask = torch.tensor([[[0, 0], [1, 1]]])
        >>> statistics = ClassStatistics(2).fit([images], mask)
        >>> objective = ClassFeatureMatching(lambda images: [images], statistics)
        >>> round(objective(images, dict(mask=mask)).item(), 4)  # the statistics are those of the same image
        0.0
    """
    space = 'image'
    annotation = 'masks'
    needs = dict(extractor=(), statistics=('min_area', ))

    @validated
    def __init__(self, extractor: Callable[[Tensor], List[Tensor]], statistics: ClassStatistics, weight: float = 1.0,
                 min_area: Optional[Share] = None, normalize: bool = True):
        self.extractor, self.statistics, self.weight = extractor, statistics, weight
        self.min_area = statistics.min_area if min_area is None else min_area
        self._seen = statistics.images_ > 0
        self._targets = statistics.layers
        self._memo = BatchMemo()
        self._scales = [float(std[self._seen].square().mean(0).sum()) if normalize else 1.0 for _, std in self._targets]

    def __call__(self, x: Tensor, batch) -> Tensor:
        """Losses (B,) of images (B, 3, H, W) with ``batch['mask']`` (B, H, W); 0 if no class is large enough."""
        mask, layers = batch['mask'], self.extractor(x)
        channels, known = [layer.shape[1] for layer in layers], [mean.shape[1] for mean, _ in self._targets]
        if channels != known:
            raise DistillError(f'guidance: the extractor gives layers of {channels} channels, the statistics are of '
                               f'{known}: measure them again')
        used = self._memo(mask, 'used', self._used, mask)
        total = x.new_zeros(len(x))
        for n, (layer, scale) in enumerate(zip(layers, self._scales)):
            key = n, layer.shape, layer.dtype, layer.device
            fractions, target_mean, target_std = self._memo(mask, key, self._constants, n, layer, mask)
            mean, variance = class_moments(layer, fractions)
            error = (mean - target_mean).square() + ((variance + EPS).sqrt() - target_std).square()
            total = total + (error.sum(2) * used).sum(1) / scale
        return total

    def _used(self, mask: Tensor) -> Tensor:
        """The classes that are compared in each image, (B, K) bool."""
        return large_enough(mask, self.statistics.num_classes, self.min_area) & self._seen.to(mask.device)

    def _constants(self, n: int, layer: Tensor, mask: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """For all steps of a batch: fractions of the classes in layer ``n``, and mean and deviation of the real set."""
        fractions = class_fractions(mask, layer.shape[-2:], self.statistics.num_classes).to(layer.dtype)
        mean, deviation = (value.to(layer) for value in self._targets[n])
        return fractions, mean, deviation


def _merge(a, b):
    """Combine mass, mean and squared deviations of two parts (Chan, Golub & LeVeque 1983)."""
    (mass_a, mean_a, squares_a), (mass_b, mean_b, squares_b) = a, b
    mass = mass_a + mass_b
    share = (mass_b / mass.clamp_min(1e-300))[:, None]
    delta = mean_b - mean_a
    return mass, mean_a + delta * share, squares_a + squares_b + delta.square() * share * mass_a[:, None]
