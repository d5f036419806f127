"""What generators with Stable Diffusion share."""
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import torch
from torch import Tensor

from ..plan import Request
from ..settings import validated
from ..weights.hub import check_fit, load_part
from .autoencoders import vae_factor
from .conditions import Condition
from .denoisers import unet_multiple
from .generators import LatentGenerator, Size
from .prompts import PromptEncoder


class TextToImage(LatentGenerator):
    """A generator with a text-to-image model, Stable Diffusion 1.x/2.x.

    Args:
        vae, denoiser, scheduler, num_classes: See :class:`LatentGenerator`, as are the other settings.
        unet: ``UNet2DConditionModel``.
        prompts: The text encoder.
        negative_prompt: Prompt of the unconditional pass.
        image_size: The UNet's own by default.
    """
    parts = ('unet', 'vae', 'text_encoder', 'tokenizer', 'scheduler')

    @validated
    def __init__(self, vae: Any, unet: Any, prompts: PromptEncoder, denoiser: Any, scheduler: Any,
                 num_classes: int, *, negative_prompt: str = '', image_size: Optional[Size] = None, **settings: Any):
        check_fit('in_channels of unet', unet.config.in_channels, 'latent_channels of vae', vae.config.latent_channels)
        check_fit('cross_attention_dim of unet', unet.config.cross_attention_dim, 'hidden size of text_encoder',
                  prompts.text_encoder.config.hidden_size)
        self.prompts, self.negative_prompt = prompts, negative_prompt
        super().__init__(vae, denoiser, scheduler, num_classes, unet_multiple(unet),
                         image_size=image_size or unet.config.sample_size * vae_factor(vae), **settings)

    @classmethod
    def load(cls, folder: Path, dtype: torch.dtype) -> Dict[str, Any]:
        from diffusers import UNet2DConditionModel
        return dict(unet=load_part(UNet2DConditionModel, folder / 'unet', dtype),
                    prompts=PromptEncoder.from_pretrained(folder, dtype))

    def to(self, device) -> 'TextToImage':
        self.prompts.text_encoder.to(device)
        return super().to(device)  # type: ignore[return-value]

    def describe(self) -> dict:
        return dict(super().describe(), negative_prompt=self.negative_prompt)

    def prompted(self, requests: Sequence[Request], prompts: Sequence[str], **tensors: Tensor) -> Condition:
        """The condition of rows with these prompts; the unconditional pass has the negative one."""
        prompt = torch.cat([self.prompts(text) for text in prompts])
        null = self.prompts(self.negative_prompt).expand_as(prompt)
        return Condition(dict(prompt=prompt, **tensors), dict(prompt=null), tuple(requests))
