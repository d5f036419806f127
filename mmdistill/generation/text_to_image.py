"""Base classes of generators with Stable Diffusion, and image-to-image generation from latents."""
import logging
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..errors import DistillError
from ..masks import IGNORE
from ..plan import Request
from ..settings import NonNegative, PositiveInt, setting, validated
from ..weights.hub import Weights, check_fit, dtype_of
from .autoencoders import vae_factor
from .conditions import Condition
from .denoisers import TextDenoiser, unet_multiple
from .generators import LatentGenerator, Size, Strength
from .prompts import PromptEncoder

logger = logging.getLogger('mmdistill')


class TextToImage(LatentGenerator):
    """Base class of generators with Stable Diffusion 1.x/2.x.

    Args:
        vae, denoiser, scheduler, num_classes: See :class:`LatentGenerator`.
        **settings: See :class:`LatentGenerator`.
        unet: ``UNet2DConditionModel``.
        prompts: The text encoder.
        negative_prompt: Prompt of the unconditional pass.
        image_size: Side, or (H, W), in pixels; default: the UNet's size.
    """
    parts = ('unet', 'vae', 'text_encoder', 'tokenizer', 'scheduler')
    replaced = ('unet', 'vae')

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
    def from_pretrained(cls, weights: str, *, unet: Optional[str] = None, **settings: Any) -> 'TextToImage':
        """Load a generator; see :meth:`LatentGenerator.from_pretrained`.

        Args:
            weights: See :meth:`LatentGenerator.from_pretrained`.
            **settings: See :meth:`LatentGenerator.from_pretrained`.
            unet: Folder, hub address or single file of another UNet, such as a fine-tuned one.
        """
        if unet is None:
            return super().from_pretrained(weights, **settings)  # type: ignore[return-value]
        from diffusers import UNet2DConditionModel
        source = Weights(unet, ('unet', ), settings.get('config') or weights)
        network = source.load((UNet2DConditionModel, ), 'unet', dtype_of(settings.get('dtype', 'float32')))
        generator = super().from_pretrained(weights, unet=network, **settings)
        generator.sources['unet'] = source.describe()
        return generator  # type: ignore[return-value]

    @classmethod
    def load(cls, weights: Weights, dtype: torch.dtype) -> Dict[str, Any]:
        from diffusers import UNet2DConditionModel
        unet = dict(unet=weights.load(UNet2DConditionModel, 'unet', dtype)) if 'unet' in weights.parts else {}
        return dict(unet, prompts=PromptEncoder.from_pretrained(weights, dtype))

    def to(self, device) -> 'TextToImage':
        self.prompts.text_encoder.to(device)
        return super().to(device)  # type: ignore[return-value]

    def describe(self) -> dict:
        return dict(super().describe(), negative_prompt=self.negative_prompt)

    def prompted(self, requests: Sequence[Request], prompts: Sequence[str], **tensors: Tensor) -> Condition:
        """The condition of rows with these prompts; the unconditional pass has the negative prompt."""
        prompt = torch.cat([self.prompts(text) for text in prompts])
        null = self.prompts(self.negative_prompt).expand_as(prompt)
        return Condition(dict(prompt=prompt, **tensors), dict(prompt=null), tuple(requests))


class LayoutToImage(TextToImage):
    """Base class of layout-to-image generators whose prompts contain the classes in the mask.

    Args:
        vae, unet, prompts, denoiser, scheduler: See :class:`TextToImage`.
        **settings: See :class:`TextToImage`.
        classes: Class names, in the order of the ids.
        prompt: Template; ``{classes}`` is replaced by the names of the classes in the mask.
    """
    needs: Tuple[str, ...] = ('classes', )

    @validated
    def __init__(self, vae: Any, unet: Any, prompts: PromptEncoder, denoiser: Any, scheduler: Any, *,
                 classes: Sequence[str], prompt: str, **settings: Any):
        self.classes, self.prompt = [name.strip() for name in classes], prompt
        super().__init__(vae, unet, prompts, denoiser, scheduler, len(self.classes), **settings)

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """See :meth:`LatentGenerator.check`."""
        super().check(settings, where)
        template = setting(cls, settings, 'prompt')
        try:
            template.format(classes='')
        except (KeyError, IndexError, ValueError):
            raise DistillError(f'{where}: prompt={template!r}: the only field is {{classes}}') from None

    def describe(self) -> dict:
        return dict(super().describe(), prompt=self.prompt)

    def classes_in(self, request: Request, mask: Tensor, text: Callable[[List[int]], str]) -> List[int]:
        """Ids of the classes in a mask, in descending order of their pixels.

        If the prompt is too long for CLIP, the smallest classes are left out, with a warning.

        Args:
            request: The request, for messages.
            mask: (H, W) int64.
            text: Function from class ids to the prompt.
        """
        counts = torch.bincount(mask[mask != IGNORE], minlength=self.num_classes)
        # Stable, so that the order of classes of equal size is the same on every machine.
        order = torch.sort(counts, descending=True, stable=True).indices
        ids, left = [c for c in order.tolist() if counts[c] > 0], list[str]()
        while not self.prompts.fits(text(ids)) and len(ids) > 1:
            left.insert(0, self.classes[ids.pop()])
        if left:
            logger.warning(f'request {request.id}: CLIP reads {self.prompts.limit} tokens, so its prompt leaves out '
                           + ', '.join(left))
        return ids


class Img2ImgGenerator(TextToImage):
    """Generates images from prompts and start latents with Stable Diffusion 1.x/2.x and D4M's settings
    (arXiv 2407.15138).

    Without start latents, images are generated from pure noise (text-to-image).

    Args:
        vae, unet, prompts, scheduler: See :class:`TextToImage`. Version 1.5's default scheduler (PNDM) is not
            supported.
        **settings: See :class:`TextToImage`.

    Example:
        >>> generator = Img2ImgGenerator.from_pretrained(  # doctest: +SKIP
        ...     'stable-diffusion-v1-5/stable-diffusion-v1-5', scheduler='DDIMScheduler', image_size=512)
        >>> images = generator.generate([Request('cat/0', seed=1, classes=(0, ), prompt='cat')])  # doctest: +SKIP
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
        """The prompts of the requests; the unconditional pass has the negative prompt."""
        return self.prompted(requests, [self.prompts.checked(request) for request in requests])

    def class_embeddings(self, requests: Sequence[Request]) -> Dict[int, Tensor]:
        """The prompt embedding (L, D) of the first request of each class; requests need one class and a prompt."""
        firsts = {request.single_class(): request for request in reversed(requests)}
        return {c: self.condition([firsts[c]])['prompt'][0] for c in sorted(firsts)}

    def embed(self, condition: Condition) -> Condition:
        return condition  # the prompts are already embedded
