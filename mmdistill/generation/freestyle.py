"""Layout-to-image generation with a text-to-image model and rectified cross-attention (FreestyleNet)."""
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request
from ..settings import NonNegative, PositiveInt, Share, setting, validated
from .class_names import Names, prompt_names
from .conditions import Condition
from .prompts import PromptEncoder
from .rectified_attention import OPEN, RectifiedDenoiser, attention_bias
from .text_to_image import LayoutToImage

_FIELD = '{classes}'
Words = List[Tuple[str, int]]  # (text, id of the class whose pixels attend to it, or OPEN)


class FreestyleNetGenerator(LayoutToImage):
    """Generates images of masks with FreestyleNet (arXiv 2303.14412): Stable Diffusion 1.4 with a fine-tuned UNet.

    In every cross-attention and step, a pixel attends to the words of its class and to words without a class
    (:mod:`~mmdistill.generation.rectified_attention`). In the unconditional pass, all pixels attend to the whole
    negative prompt. There are no additional parameters, so a UNet that was not fine-tuned also follows masks, but less
    well.

    Args:
        vae, unet, prompts, scheduler: See :class:`~mmdistill.generation.text_to_image.LayoutToImage`. The attention
            processors of ``unet`` are replaced.
        classes: Class names, in the order of the ids. Prompts name the classes in the same order.
        names: ``'ade20k'`` or ``'coco_stuff'`` for the released weights, or names for some of the classes; see
            :func:`~mmdistill.generation.class_names.prompt_names`.
        prompt: Template with the field ``{classes}``. All pixels attend to its other words and to a request's prompt,
            which is appended.
        rectification: In [0, 1]; 1 is full rectification, 0 plain attention; see
            :class:`~mmdistill.generation.rectified_attention.RectifiedAttention`.
        **settings: See :class:`~mmdistill.generation.text_to_image.LayoutToImage`.

    Example:
        >>> generator = FreestyleNetGenerator.from_pretrained(  # doctest: +SKIP
        ...     'CompVis/stable-diffusion-v1-4', unet='work_dirs/freestyle-ade20k', classes=classes, names='ade20k',
        ...     scheduler='DDIMScheduler')
        >>> images = generator.generate(requests, masks)  # doctest: +SKIP
    """

    @validated
    def __init__(self, vae: Any, unet: Any, prompts: PromptEncoder, scheduler: Any, *, classes: Sequence[str],
                 names: Names = None, prompt: str = _FIELD, rectification: Share = 1.0, num_steps: PositiveInt = 50,
                 cfg_scale: NonNegative = 2.0, **settings: Any):
        FreestyleNetGenerator.check(dict(prompt=prompt, names=names, classes=classes), type(self).__name__)
        self.names, self._table = prompt_names(classes, names), names
        super().__init__(vae, unet, prompts, RectifiedDenoiser(unet, rectification), scheduler, classes=classes,
                         prompt=prompt, num_steps=num_steps, cfg_scale=cfg_scale, **settings)

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """See :meth:`LatentGenerator.check`. Names are checked if the settings contain the classes."""
        super().check(settings, where)
        template = setting(cls, settings, 'prompt')
        if template.count(_FIELD) != 1:
            raise DistillError(f'{where}: prompt={template!r}: give it {_FIELD} once, where the classes are named')
        if 'classes' in settings:
            prompt_names(settings['classes'], settings.get('names'), f'{where}.names')

    def describe(self) -> dict:
        return dict(super().describe(), names=self._table, rectification=self.denoiser.factor)

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor]) -> Condition:
        """Prompts, masks and the attention bias, which is 0 in the unconditional pass."""
        assert masks is not None
        words = [self.words(request, mask) for request, mask in zip(requests, masks)]
        slots = torch.tensor([self.slots(row) for row in words])
        bias = attention_bias(masks, slots, self.denoiser.sizes(self.latent_shape[1:]), self.denoiser.unet.dtype)
        prompted = self.prompted(requests, [_text(row) for row in words], mask=masks, bias=bias)
        return Condition(prompted.tensors, dict(prompted.nulls, bias=torch.zeros_like(bias)), prompted.requests)

    def words(self, request: Request, mask: Tensor) -> Words:
        """The parts of a request's prompt for a mask (H, W) int64. The prompt joins them with single spaces."""
        before, _, after = (' '.join(part.split()) for part in self.prompt.partition(_FIELD))

        def words(ids: Sequence[int]) -> Words:
            named = [(self.names[c], c) for c in sorted(ids)]
            every = [(before, OPEN), *named, (after, OPEN), (' '.join((request.prompt or '').split()), OPEN)]
            return [(text, slot) for text, slot in every if text]

        found = words(self.classes_in(request, mask, lambda ids: _text(words(ids))))
        self.prompts.readable(request, _text(found))
        return found

    def slots(self, words: Words) -> List[int]:
        """The class id of each token; OPEN for begin, end, padding and words without a class."""
        found = [slot for text, slot in words for _ in range(self.prompts.length(text))][:self.prompts.limit - 2]
        return [OPEN, *found, *[OPEN] * (self.prompts.limit - 1 - len(found))]


def _text(words: Words) -> str:
    return ' '.join(text for text, _ in words)
