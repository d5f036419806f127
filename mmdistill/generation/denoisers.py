"""Denoising networks with a common signature: ``(x, t, condition) -> output``, of the scheduler's prediction type."""
from typing import Any, Optional

from torch import Tensor, nn

from .conditions import Condition


def unet_multiple(unet: Any) -> int:
    """The sides of a U-Net's latents must be multiples of this number."""
    return 2**(len(unet.config.block_out_channels) - 1)


class Denoiser(nn.Module):
    """A network conditioned on masks or class ids.

    Args:
        network: ``network(x, t, tensor) -> .sample``, such as those in :mod:`~mmdistill.generation.unets` or diffusers'
            ``DiTTransformer2DModel``.
        name: Name of the condition's tensor that is passed to the network.
    """

    def __init__(self, network: Any, name: str):
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Latents (B, C, h, w), timesteps (B,) → (B, C or 2C, h, w) in the network's dtype."""
        return self.network(x.to(self.network.dtype), t, condition[self.name]).sample


class TextDenoiser(nn.Module):
    """A stock ``UNet2DConditionModel``, optionally with a ``ControlNetModel``.

    Args:
        unet: The UNet.
        controlnet: The ControlNet.
        scale: Factor of the ControlNet's residuals.
    """

    def __init__(self, unet: Any, controlnet: Optional[Any] = None, scale: float = 1.0):
        super().__init__()
        self.unet, self.controlnet, self.scale = unet, controlnet, scale

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict from latents (B, C, h, w), timesteps (B,), and a condition with ``prompt`` (B, L, D) and, for a
        ControlNet, ``control`` (B, channels, H, W) in [0, 1]."""
        dtype = self.unet.dtype
        x, prompt, residuals = x.to(dtype), condition['prompt'].to(dtype), {}
        if self.controlnet is not None:
            down, mid = self.controlnet(x, t, encoder_hidden_states=prompt, return_dict=False,
                                        controlnet_cond=condition['control'].to(dtype), conditioning_scale=self.scale)
            residuals = dict(down_block_additional_residuals=down, mid_block_additional_residual=mid)
        return self.unet(x, t, encoder_hidden_states=prompt, return_dict=False, **residuals)[0]
