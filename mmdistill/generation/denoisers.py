"""The networks that predict: one call signature, ``(x, t, condition) -> output`` of the scheduler's type."""
from typing import Any, Optional

from torch import Tensor, nn

from .conditions import Condition


def unet_multiple(unet: Any) -> int:
    """Of what the sides of a U-Net's latents have to be."""
    return 2**(len(unet.config.block_out_channels) - 1)


class Denoiser(nn.Module):
    """A network that is told the tensor ``name`` of the condition: a label map or class ids.

    ``network(x, t, tensor) -> .sample``, as :mod:`~mmdistill.generation.unets` or diffusers' ``DiTTransformer2DModel``.
    """

    def __init__(self, network: Any, name: str):
        super().__init__()
        self.network, self.name = network, name

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Latents (B, C, h, w), timesteps (B,) → (B, C or 2C, h, w) in the network's dtype."""
        return self.network(x.to(self.network.dtype), t, condition[self.name]).sample


class TextDenoiser(nn.Module):
    """A stock ``UNet2DConditionModel``, perhaps led by a ``ControlNetModel`` with residuals times ``scale``."""

    def __init__(self, unet: Any, controlnet: Optional[Any] = None, scale: float = 1.0):
        super().__init__()
        self.unet, self.controlnet, self.scale = unet, controlnet, scale

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Latents (B, C, h, w), timesteps (B,), condition with ``prompt`` (B, L, D), and ``control`` in [0, 1]."""
        dtype = self.unet.dtype
        x, prompt, residuals = x.to(dtype), condition['prompt'].to(dtype), {}
        if self.controlnet is not None:
            down, mid = self.controlnet(x, t, encoder_hidden_states=prompt, return_dict=False,
                                        controlnet_cond=condition['control'].to(dtype), conditioning_scale=self.scale)
            residuals = dict(down_block_additional_residuals=down, mid_block_additional_residual=mid)
        return self.unet(x, t, encoder_hidden_states=prompt, return_dict=False, **residuals)[0]
