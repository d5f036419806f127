"""The networks that predict: one call signature, ``(x, t, condition) -> output`` of the scheduler's type."""
from typing import Any

from torch import Tensor, nn

from .conditions import Condition


def unet_multiple(unet: Any) -> int:
    """Of what the sides of a U-Net's latents have to be."""
    return 2**(len(unet.config.block_out_channels) - 1)


class LayoutUNetDenoiser(nn.Module):
    """A :class:`~mmdistill.generation.layout_unet.LayoutUNet`, told the label map itself.

    Args:
        unet: ``unet(x, t, layout) -> .sample``; a map of 255 alone is its null condition.
    """

    def __init__(self, unet: nn.Module):
        super().__init__()
        self.unet: Any = unet

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Latents (B, C, h, w), timesteps (B,), condition with ``mask`` → (B, C, h, w) in the network's dtype."""
        return self.unet(x.to(self.unet.dtype), t, condition['mask']).sample


class ControlNetDenoiser(nn.Module):
    """A stock text-to-image UNet led by a ControlNet.

    Args:
        unet: ``UNet2DConditionModel``.
        controlnet: ``ControlNetModel``.
        scale: Factor of the ControlNet's residuals.
    """

    def __init__(self, unet: nn.Module, controlnet: nn.Module, scale: float = 1.0):
        super().__init__()
        self.unet: Any = unet
        self.controlnet: Any = controlnet
        self.scale = scale

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Latents (B, C, h, w), timesteps (B,), condition with ``prompt`` (B, L, D) and ``control`` in [0, 1]."""
        dtype = self.unet.dtype
        x, prompt = x.to(dtype), condition['prompt'].to(dtype)
        down, mid = self.controlnet(x, t, encoder_hidden_states=prompt, controlnet_cond=condition['control'].to(dtype),
                                    conditioning_scale=self.scale, return_dict=False)
        return self.unet(x, t, encoder_hidden_states=prompt, down_block_additional_residuals=down,
                         mid_block_additional_residual=mid, return_dict=False)[0]


class TextDenoiser(nn.Module):
    """A stock text-to-image UNet.

    Args:
        unet: ``UNet2DConditionModel``.
    """

    def __init__(self, unet: nn.Module):
        super().__init__()
        self.unet: Any = unet

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Latents (B, C, h, w), timesteps (B,), condition with ``prompt`` (B, L, D)."""
        dtype = self.unet.dtype
        return self.unet(x.to(dtype), t, encoder_hidden_states=condition['prompt'].to(dtype), return_dict=False)[0]


class ClassDenoiser(nn.Module):
    """A network that is told a class id: diffusers' ``DiTTransformer2DModel``, or a
    :class:`~mmdistill.generation.class_unet.ClassUNet`.

    Args:
        network: ``network(x, t, labels) -> .sample``.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network: Any = network

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Latents (B, C, h, w), timesteps (B,), condition with ``label`` (B,) → (B, C or 2C, h, w)."""
        return self.network(x.to(self.network.dtype), t, condition['label']).sample
