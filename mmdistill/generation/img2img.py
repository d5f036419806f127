"""A text-to-image model started from latents."""
from typing import Any, Dict, Optional, Sequence

from torch import Tensor

from ..errors import DistillError
from ..plan import Request
from ..settings import NonNegative, PositiveInt, validated
from .conditions import Condition
from .denoisers import TextDenoiser
from .generators import Strength
from .prompts import PromptEncoder
from .text_to_image import TextToImage


class Img2ImgGenerator(TextToImage):
    """Prompts and start latents to images with Stable Diffusion 1.x/2.x, at D4M's settings (arXiv 2407.15138).

    A request without start latents is made from pure noise: plain text-to-image.

    Args:
        vae, unet, prompts, scheduler: See :class:`~mmdistill.generation.text_to_image.TextToImage`, as are the
            settings. Version 1.5's own scheduler (PNDM) is none that the loop takes.
    """
    annotation = 'classes'
    embedded = 'prompt'  # see `embed`

    @validated
    def __init__(self, vae: Any, unet: Any, prompts: PromptEncoder, scheduler: Any, *,
                 negative_prompt: str = 'cartoon, anime, painting', strength: Strength = 0.7,
                 cfg_scale: NonNegative = 8.0, num_steps: PositiveInt = 50, **settings: Any):
        super().__init__(vae, unet, prompts, TextDenoiser(unet), scheduler, 0, negative_prompt=negative_prompt,
                         strength=strength, cfg_scale=cfg_scale, num_steps=num_steps, **settings)

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor] = None) -> Condition:
        """The requests' prompts; the unconditional pass has the negative one."""
        return self.prompted(requests, [self.prompts.checked(request) for request in requests])

    def class_embeddings(self, requests: Sequence[Request]) -> Dict[int, Tensor]:
        """The prompt's embedding (L, D) of the first request of each class; each must have one class, and a prompt."""
        firsts: Dict[int, Request] = {}
        for request in requests:
            if len(request.classes) != 1:
                raise DistillError(f'request {request.id} is for classes {list(request.classes)}: embeddings of '
                                   'classes need requests for one class each')
            firsts.setdefault(request.classes[0], request)
        return {c: self.condition([firsts[c]])['prompt'][0] for c in sorted(firsts)}

    def embed(self, condition: Condition) -> Condition:
        return condition  # prompts are embeddings already
