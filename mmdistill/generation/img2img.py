"""A text-to-image model started from latents."""
from typing import Dict, Optional, Sequence, Union

import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request
from .conditions import Condition, class_rows
from .denoisers import TextDenoiser
from .generators import LatentGenerator, Size
from .prompts import PromptEncoder
from ..weights.hub import check_fit, dtype_of, fingerprints, load_part, resolve
from .schedulers import load_scheduler
from .autoencoders import load_vae, vae_factor


class Img2ImgGenerator(LatentGenerator):
    """Prompts and start latents to images with Stable Diffusion 1.x/2.x, at D4M's settings (arXiv 2407.15138).

    A request without start latents is made from pure noise: plain text-to-image.

    Args:
        weights: diffusers folder or hub id with ``unet``, ``vae``, ``text_encoder``, ``tokenizer`` and ``scheduler``.
        negative_prompt: Prompt of the unconditional pass.
        strength: Part of the steps that is done from start latents.
        cfg_scale, num_steps: See :class:`LatentGenerator`, as are the other settings.
        image_size: The UNet's own by default.
        scheduler: None for the folder's own, a class name, or ``dict(type=name, key=value, …)``. Version 1.5's own
            (PNDM) is none that the loop takes.

    Raises:
        DistillError: The weights are missing or do not fit each other.
    """
    kind = 'classes'
    embedded = 'prompt'  # see `embed`

    def __init__(self,
                 weights: str,
                 *,
                 negative_prompt: str = 'cartoon, anime, painting',
                 strength: float = 0.7,
                 cfg_scale: float = 8.0,
                 num_steps: int = 50,
                 image_size: Optional[Size] = None,
                 scheduler: Union[None, str, dict] = None,
                 dtype: str = 'float32',
                 **settings):
        from diffusers import UNet2DConditionModel
        parts = ('unet', 'vae', 'text_encoder', 'tokenizer', 'scheduler')
        folder = resolve(weights, parts)
        steps = load_scheduler(folder, scheduler)  # a wrong scheduler is refused before the long loads
        unet = load_part(UNet2DConditionModel, folder / 'unet', dtype_of(dtype))
        vae = load_vae(str(folder))
        self.prompts, self.negative_prompt = PromptEncoder(folder, dtype), negative_prompt
        check_fit('in_channels of unet', unet.config.in_channels, 'latent_channels of vae', vae.config.latent_channels)
        check_fit('cross_attention_dim of unet', unet.config.cross_attention_dim, 'hidden size of text_encoder',
                  self.prompts.text_encoder.config.hidden_size)
        super().__init__(vae, TextDenoiser(unet), steps, num_classes=0, num_steps=num_steps, cfg_scale=cfg_scale,
                         strength=strength, dtype=dtype,
                         image_size=image_size or unet.config.sample_size * vae_factor(vae), **settings)
        multiple = vae_factor(vae) * 2**(len(unet.config.block_out_channels) - 1)
        if any(side % multiple for side in self.image_size):
            raise DistillError(f'image_size {self.image_size} must be a multiple of {multiple} with these weights')
        self.sources = dict(generator=dict(id=str(weights), sha256=fingerprints(folder, parts)))

    def to(self, device) -> 'Img2ImgGenerator':
        """Move the networks."""
        self.prompts.text_encoder.to(device)
        return super().to(device)

    def describe(self) -> dict:
        """See :meth:`LatentGenerator.describe`."""
        return dict(super().describe(), negative_prompt=self.negative_prompt)

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor] = None) -> Condition:
        """The requests' prompts; the unconditional pass has the negative one."""
        for request in requests:
            if request.prompt is None:
                raise DistillError(f'request {request.id} has no prompt: make the plan with ClassPlanHook or '
                                   'PrototypeHook')
        prompt = torch.cat([self.prompts(self.prompts.checked(request)) for request in requests])
        null = self.prompts(self.negative_prompt).expand_as(prompt)
        return Condition(dict(prompt=prompt, **class_rows(requests)), dict(prompt=null),
                         tuple(f'request {r.id}' for r in requests))

    def class_embeddings(self, requests: Sequence[Request]) -> Dict[int, Tensor]:
        """The prompt's embedding (L, D) of the first request of each class.

        Raises:
            DistillError: A request has no class, or no prompt.
        """
        firsts: Dict[int, Request] = {}
        for request in requests:
            if len(request.classes) != 1:
                raise DistillError(f'request {request.id} is for classes {list(request.classes)}: embeddings of '
                                   'classes need requests for one class each')
            firsts.setdefault(request.classes[0], request)
        return {c: self.condition([firsts[c]])['prompt'][0] for c in sorted(firsts)}

    def embed(self, condition: Condition) -> Condition:
        """The condition as it is: prompts are embeddings already."""
        return condition
