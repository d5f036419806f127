"""A small denoiser that is conditioned on a class."""
from typing import Any, Optional, Sequence

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn

from .layout_unet import stock_unet


class ClassUNet(ModelMixin, ConfigMixin):
    """Stock ``UNet2DModel`` whose timestep embedding has the class's added to it.

    Args:
        num_classes: Number of classes K; ids 0..K-1, and K is the null condition.
        latent_channels: Channels C of the latent.
        sample_size: Side of the latents that it was trained on, where that is to be known later.
        block_out_channels: Width of each resolution.
        layers_per_block: Residual blocks at each resolution.
        attention_levels: How many of the coarsest resolutions have self-attention.
    """

    @register_to_config
    def __init__(self,
                 num_classes: int,
                 latent_channels: int,
                 sample_size: Optional[int] = None,
                 block_out_channels: Sequence[int] = (64, 96, 128),
                 layers_per_block: int = 1,
                 attention_levels: int = 1) -> None:
        super().__init__()
        # The table is ours and the stock network takes its rows as they are, so that a row may be mixed of several.
        self.labels = nn.Embedding(num_classes + 1, 4 * block_out_channels[0])
        self.unet: Any = stock_unet(latent_channels, latent_channels, block_out_channels, layers_per_block,
                               attention_levels, class_embed_type='identity')

    def forward(self, sample: Tensor, timestep, labels: Tensor) -> UNet2DOutput:
        """Noisy latents (B, C, h, w), timesteps and labels → prediction (B, C, h, w).

        Args:
            labels: (B,) int64 class ids, or (B, 4 · first width) float embeddings.
        """
        rows = labels if labels.is_floating_point() else self.labels(labels)
        return self.unet(sample, timestep, rows.to(sample.dtype))
