"""Small networks of the dataset-distillation literature that are not in mmpretrain, as backbones for its classifiers.

Implemented from the descriptions in the literature (Zhao et al., Dataset Condensation, arXiv 2006.05929; Kim et al.,
IDC, arXiv 2205.14959). Widths, biases, stems and the position of the pooling are those of the released code of IDC and
Minimax.
"""
from typing import Literal, Optional, Tuple

import torch
import torch.nn as nn
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule

from mmdistill.errors import DistillError
from mmdistill.registry import MODELS
from mmdistill.settings import PositiveInt, validated

# Kernel size of the stem's convolution, and size of its pooling.
_STEMS = dict(large=(7, 4), mid=(3, 2), small=(3, 1))
_BLOCKS = {10: 1, 18: 2}  # depth → blocks per stage; there are four stages


def _norm(channels: int, norm_cfg: Optional[dict]) -> nn.Module:
    # "Instance norm" in the literature is a group norm with one channel per group: affine, without running statistics.
    # PyTorch's group norm is also faster on a CPU than its instance norm.
    return build_norm_layer(norm_cfg or dict(type='GN', num_groups=channels), channels)[1]


@MODELS.register_module()
class ConvNet(BaseModule):
    """ConvNet-D: D times [3x3 convolution to 128 channels with bias, norm, ReLU, 2x2 average pooling], flattened.

    The usual depth is 3 for images of 32 pixels, 4 for 64, 5 for 128 and 6 for 224. The linear head needs
    ``in_channels = width * (H // 2**depth) * (W // 2**depth)``: 1152 for depth 6 at 224 pixels.

    Args:
        depth: D, number of blocks, at least 1.
        width: Channels of each block; 128 in the literature.
        norm_cfg: Norm layer; None: affine instance norm.
        init_cfg: Initialisation; None: PyTorch's default, as in the literature.

    Example:
        >>> ConvNet(depth=3)(torch.zeros(1, 3, 32, 32))[0].shape
        torch.Size([1, 2048])
    """

    @validated
    def __init__(self, depth: PositiveInt = 6, width: PositiveInt = 128, norm_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.depth = depth
        self.blocks = nn.Sequential(*(nn.Sequential(
            nn.Conv2d(width if i else 3, width, 3, padding=1), _norm(width, norm_cfg), nn.ReLU(inplace=True),
            nn.AvgPool2d(2)) for i in range(depth)))

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor]:
        """Images (B, 3, H, W), H, W >= 2**depth → features (B, width * (H // 2**depth) * (W // 2**depth))."""
        if min(x.shape[-2:]) < 2**self.depth:
            raise DistillError(f'ConvNet of depth {self.depth} takes images of {2**self.depth} pixels or more, not '
                               f'{x.shape[-2]}x{x.shape[-1]}: choose a smaller depth')
        return (self.blocks(x).flatten(1), )


class _Block(nn.Module):
    """A basic block of ResNet with average pooling of ``pool`` x ``pool`` pixels instead of a stride."""

    def __init__(self, in_channels: int, channels: int, pool: int, norm_cfg: Optional[dict]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm1 = _norm(channels, norm_cfg)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AvgPool2d(pool) if pool > 1 else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = _norm(channels, norm_cfg)
        self.shortcut: nn.Module = nn.Identity()
        if pool > 1 or in_channels != channels:
            # Pooling comes first: it commutes with the 1x1 convolution, which then costs a quarter.
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(pool), nn.Conv2d(in_channels, channels, 1, bias=False), _norm(channels, norm_cfg))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.pool(self.relu(self.norm1(self.conv1(x))))
        return self.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


@MODELS.register_module()
class ResNetAP(BaseModule):
    """ResNet of basic blocks with 64, 128, 256 and 512 channels and average pooling instead of strides.

    Args:
        depth: 10 (one block per stage) or 18 (two).
        stem: [Convolution to 64 channels, norm, ReLU, average pooling] with kernel 7x7 and pooling 4x4 (``'large'``,
            for images above 128 pixels), 3x3 and 2x2 (``'mid'``, 65 to 128) or 3x3 and none (``'small'``, up to 64).
        norm_cfg: See :class:`ConvNet`.
        init_cfg: Initialisation; None: Kaiming normal with ``fan_out``, as in the literature.

    Example:
        >>> ResNetAP(depth=10, stem='small')(torch.zeros(1, 3, 32, 32))[0].shape
        torch.Size([1, 512, 4, 4])
    """

    @validated
    def __init__(self, depth: Literal[10, 18] = 10, stem: Literal['large', 'mid', 'small'] = 'large',
                 norm_cfg: Optional[dict] = None, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        kernel, pool = _STEMS[stem]
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, kernel, padding=kernel // 2, bias=False), _norm(64, norm_cfg), nn.ReLU(inplace=True),
            nn.AvgPool2d(pool))
        blocks, channels = [], 64
        for width in (64, 128, 256, 512):
            for _ in range(_BLOCKS[depth]):  # the first block of stages 2 to 4 halves the size
                blocks.append(_Block(channels, width, 2 if width > channels else 1, norm_cfg))
                channels = width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor]:
        """Images (B, 3, H, W) → features (B, 512, h, w); h = H / 32 (stem large), H / 16 (mid) or H / 8 (small)."""
        return (self.blocks(self.stem(x)), )
