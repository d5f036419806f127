"""Distance of images in the features of a frozen backbone."""
import logging
from typing import Any, List, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmdistill.errors import DistillError, is_fault_of_machine, one_line
from mmdistill.registry import MODELS
from mmdistill.settings import NonNegative, Positive, validated

logger = logging.getLogger('mmdistill')
_POSITIONS = 4  # of an output in an image; with a single one, the variance is near 0, and the loss explodes


class FeatureLoss(nn.Module):
    r"""Perceptual loss: distance of images in the feature maps of a frozen backbone (Johnson et al., ECCV 2016).

    .. math:: L = \frac{\lambda}{S}\sum_{s=1}^S \frac1{C_s}\sum_{c=1}^{C_s}
        \frac{\mathrm{mean}_p (f_{scp}(\hat x) - f_{scp}(x))^2}{\mathrm{var}_p f_{scp}(x) + 10^{-4}}

    for the maps f of S stages with C channels, at the positions p of a batch. Dividing by the variance of each channel
    is our choice: all channels count alike, and 1 is the error of a constant.

    Args:
        backbone: Config of a backbone of mmpretrain, mmsegmentation or mmdistill that returns one or several feature
            maps. Its ``init_weights`` has to load trained weights, usually those of
            ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.
        weight: λ >= 0.
        mean, std: Normalisation of the backbone's RGB images in [0, 255]. The default is ImageNet's.
        scale: Images are resized by this factor first, bilinearly with antialiasing: 0.5 for students that read
            generated images at half their size.

    Raises:
        DistillError: ``mean`` or ``std`` has another number of values than 3, or the backbone cannot be built.

    Example:
        >>> backbone = dict(type='mmdistill.EfficientNetLite0', pretrained=False)
        >>> loss = FeatureLoss(backbone, mean=[127] * 3, std=[128] * 3)
        >>> float(loss(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)))
        0.0
    """

    mean: Tensor
    std: Tensor

    @validated
    def __init__(self, backbone: dict, weight: NonNegative = 1.0, mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[Positive] = (58.395, 57.12, 57.375), scale: Positive = 1.0) -> None:
        super().__init__()
        network = _trained(backbone)
        self._frozen = [network]  # in a list, so that it is not in the state dict
        self.weight, self.scale = weight, scale
        for name, values in (('mean', mean), ('std', std)):
            if len(values) != 3:
                raise DistillError(f'FeatureLoss: {name} has {len(values)} values: give one for each of R, G, B')
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> List[Tensor]:
        """Images (B, 3, H, W) RGB in [-1, 1] → feature maps (B, C_s, h_s, w_s), float32."""
        if self.scale != 1:
            if int(min(images.shape[-2:]) * self.scale) < 1:
                raise DistillError(f'feature_loss.scale={self.scale} leaves nothing of images of '
                                   f'{images.shape[-2]}x{images.shape[-1]} pixels: increase it')
            images = F.interpolate(images, scale_factor=self.scale, mode='bilinear', antialias=True)
        maps = self._frozen[0].to(images.device)(((images + 1) * 127.5 - self.mean) / self.std)
        maps = [maps] if isinstance(maps, Tensor) else list(maps)
        for number, one in enumerate(maps):
            if not isinstance(one, Tensor) or one.ndim != 4:
                raise DistillError(f'feature_loss.backbone: {type(self._frozen[0]).__name__} returns no feature maps '
                                   '(B, C, h, w): give a convolutional backbone, or its option for feature maps')
            if (height := one.shape[2]) * (width := one.shape[3]) < _POSITIONS:
                raise DistillError(
                    f'feature_loss: output {number + 1} of the backbone has {height}x{width} positions, at least '
                    f'{_POSITIONS} are needed: use larger crops, increase feature_loss.scale, or leave this output out '
                    'with out_indices of the backbone')
        return [one.float() for one in maps]

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar, of images (B, 3, H, W) RGB in [-1, 1]; the ``target`` gets no gradient."""
        with torch.no_grad():
            wanted = self.features(target)
        losses = [((one - other).square().mean((0, 2, 3)) / (other.var((0, 2, 3), correction=0) + 1e-4)).mean()
                  for one, other in zip(self.features(output), wanted)]
        return self.weight * torch.stack(losses).mean()


def _trained(backbone: dict) -> Any:
    """Build a backbone and load its weights; it is frozen."""
    try:
        network = MODELS.build(backbone)
        network.init_weights()
    except DistillError as error:
        raise type(error)(f'feature_loss.backbone: {error}') from None
    except Exception as error:  # mm packages raise many types for a wrong config or missing weights
        if is_fault_of_machine(error):
            raise
        raise DistillError(f'feature_loss.backbone: {one_line(error)}') from None
    init = getattr(network, 'init_cfg', None) or {}
    kinds = {dict(one).get('type') for one in (init if isinstance(init, list) else [init])}
    if 'Pretrained' not in kinds and not getattr(network, 'pretrained', False):
        logger.warning("feature_loss.backbone: %s has random weights, so its features mean little: give it "
                       "init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')", type(network).__name__)
    network.requires_grad_(False)
    network.eval()
    return network
