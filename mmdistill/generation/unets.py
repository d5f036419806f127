"""Small denoisers conditioned on a mask or a class, which users can train on their own data."""
from typing import Any, Optional, Sequence

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn

from ..errors import DistillError
from .palette import render_one_hot


def _stock_unet(in_channels: int, out_channels: int, block_out_channels: Sequence[int], layers_per_block: int,
                attention_levels: int, **settings: Any) -> Any:
    plain = len(block_out_channels) - attention_levels
    return UNet2DModel(
        in_channels=in_channels, out_channels=out_channels, block_out_channels=tuple(block_out_channels),
        layers_per_block=layers_per_block, norm_num_groups=16, attention_head_dim=32,
        down_block_types=('DownBlock2D', ) * plain + ('AttnDownBlock2D', ) * attention_levels,
        up_block_types=('AttnUpBlock2D', ) * attention_levels + ('UpBlock2D', ) * plain, **settings)


def _check_levels(block_out_channels: Sequence[int], attention_levels: int) -> None:
    if not block_out_channels or any(number < 16 or number % 16 for number in block_out_channels):
        raise DistillError(f'model.unet.block_out_channels={list(block_out_channels)}: give at least one number, each '
                           'a multiple of 16')
    if not 0 <= attention_levels <= len(block_out_channels):
        raise DistillError(f'model.unet.attention_levels={attention_levels}: the network has '
                           f'{len(block_out_channels)} levels (block_out_channels): give at most this number')


class LayoutUNet(ModelMixin, ConfigMixin):
    """Stock ``UNet2DModel`` with the mask as additional input.

    A convolution whose stride is the autoencoder's factor reduces the one-hot mask to the resolution of the latents
    without loss, and the result is concatenated to the latents. This is our choice: the published D3S2 uses a
    pretrained layout-to-image model.

    Args:
        num_classes: Number of classes K; ids 0..K-1, 255 = unlabelled. A mask of only 255 is the null condition.
        layout_factor: Ratio of the mask's side to the latents' side.
        latent_channels: Channels C of the latents.
        layout_channels: Channels of the reduced mask.
        block_out_channels: Channels at each resolution.
        layers_per_block: Residual blocks at each resolution.
        attention_levels: Number of the coarsest resolutions with self-attention.
        classes: Class names, in the order of the ids, to be saved in the config.

    Example:
        >>> unet = LayoutUNet(num_classes=3, layout_factor=4, latent_channels=4, block_out_channels=(32, 64))
        >>> unet(torch.zeros(1, 4, 16, 16), 10, torch.zeros(1, 64, 64, dtype=torch.long)).sample.shape
        torch.Size([1, 4, 16, 16])
    """

    @register_to_config
    def __init__(self, num_classes: int, layout_factor: int, latent_channels: int, layout_channels: int = 32,
                 block_out_channels: Sequence[int] = (48, 96, 128), layers_per_block: int = 1,
                 attention_levels: int = 1, classes: Optional[Sequence[str]] = None) -> None:
        super().__init__()
        _check_levels(block_out_channels, attention_levels)
        self.layout = nn.Conv2d(num_classes + 1, layout_channels, layout_factor, layout_factor)
        self.unet = _stock_unet(latent_channels + layout_channels, latent_channels, block_out_channels,
                                layers_per_block, attention_levels)

    def forward(self, sample: Tensor, timestep, layout: Tensor) -> UNet2DOutput:
        """Noisy latents (B, C, h, w), timesteps, and masks (B, h·factor, w·factor) → prediction (B, C, h, w)."""
        classes = self.config['num_classes']
        planes = render_one_hot(layout.long(), classes, classes + 1).to(sample.dtype)
        return self.unet(torch.cat([sample, self.layout(planes)], 1), timestep)


class ClassUNet(ModelMixin, ConfigMixin):
    """Stock ``UNet2DModel`` with a class embedding that is added to the timestep embedding.

    Args:
        num_classes: Number of classes K; ids 0..K-1, and K is the null condition.
        sample_size: Side of the latents in training, to be saved in the config.
        latent_channels, block_out_channels, layers_per_block, attention_levels, classes: See :class:`LayoutUNet`.

    Example:
        >>> unet = ClassUNet(num_classes=3, latent_channels=4, block_out_channels=(32, 64))
        >>> unet(torch.zeros(1, 4, 16, 16), 10, torch.tensor([2])).sample.shape
        torch.Size([1, 4, 16, 16])
    """

    @register_to_config
    def __init__(self, num_classes: int, latent_channels: int, sample_size: Optional[int] = None,
                 block_out_channels: Sequence[int] = (64, 96, 128), layers_per_block: int = 1,
                 attention_levels: int = 1, classes: Optional[Sequence[str]] = None) -> None:
        super().__init__()
        _check_levels(block_out_channels, attention_levels)
        # The table is outside of the stock network, which takes embeddings, so that embeddings can be mixed.
        self.labels = nn.Embedding(num_classes + 1, 4 * block_out_channels[0])
        self.unet = _stock_unet(latent_channels, latent_channels, block_out_channels, layers_per_block,
                                attention_levels, class_embed_type='identity')

    def forward(self, sample: Tensor, timestep, labels: Tensor) -> UNet2DOutput:
        """Noisy latents (B, C, h, w), timesteps, class ids (B,) or embeddings (B, 4 · first width) → (B, C, h, w)."""
        rows = labels if labels.is_floating_point() else self.labels(labels)
        return self.unet(sample, timestep, rows.to(sample.dtype))
