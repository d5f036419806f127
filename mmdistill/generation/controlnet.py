"""Layout-to-image generation with a text-to-image model and a ControlNet."""
import logging
from typing import Any, Literal, Mapping, Optional, Sequence, Union

from torch import Tensor

from ..errors import unfit
from ..plan import Request
from ..settings import NonNegative, setting, validated
from ..weights.hub import Weights, check_fit, check_weights, dtype_of
from .autoencoders import vae_factor
from .conditions import Condition
from .denoisers import TextDenoiser
from .palette import render_one_hot, render_palette, resolve_palette
from .prompts import PromptEncoder
from .text_to_image import LayoutToImage

logger = logging.getLogger('mmdistill')


class ControlNetGenerator(LayoutToImage):
    """Generates images of masks with Stable Diffusion 1.x/2.x and a segmentation ControlNet (arXiv 2302.05543).

    The mask is rendered as an image for the ControlNet; labels are never read back from colours.

    Args:
        vae, unet, prompts, scheduler: See :class:`~mmdistill.generation.text_to_image.LayoutToImage`.
        controlnet: ``ControlNetModel``.
        palette: One RGB triple per class, as in the ControlNet's training; default: the palette of the dataset's
            metainfo, which is correct for ADE20K. For COCO-Stuff, whose palette is ambiguous, use ``'coco_panoptic'``:
            the colours of the 133 panoptic classes, in which some classes share a colour or are missing.
        classes, prompt: Classes are named in descending order of their pixels. A request's prompt replaces the
            template.
        control_scale: Factor of the ControlNet's residuals, >= 0.
        rendering: ``'palette'``, or ``'one_hot'`` for a ControlNet with one input channel per class, and optionally a
            channel for unlabelled pixels.
        **settings: See :class:`~mmdistill.generation.text_to_image.LayoutToImage`.

    Example:
        >>> generator = ControlNetGenerator.from_pretrained(  # doctest: +SKIP
        ...     'stable-diffusion-v1-5/stable-diffusion-v1-5', controlnet='lllyasviel/control_v11p_sd15_seg',
        ...     classes=classes, palette=palette, scheduler='DPMSolverMultistepScheduler')
        >>> images = generator.generate(requests, masks)  # doctest: +SKIP
    """
    needs = ('classes', 'palette')
    palette: Sequence[Sequence[int]]  # one RGB triple per class, with rendering='palette'

    @validated
    def __init__(self, vae: Any, unet: Any, controlnet: Any, prompts: PromptEncoder, scheduler: Any, *,
                 classes: Sequence[str], palette: Union[None, Literal['coco_panoptic'], Sequence[Sequence[int]]] = None,
                 prompt: str = 'a photo of {classes}', control_scale: NonNegative = 1.0,
                 rendering: Literal['palette', 'one_hot'] = 'palette', **settings: Any):
        ControlNetGenerator.check(dict(prompt=prompt, rendering=rendering, classes=classes, palette=palette),
                                  type(self).__name__)
        self.rendering, remarks = rendering, list[str]()
        if rendering == 'palette':
            self.palette, remarks = resolve_palette(palette, classes, type(self).__name__)
        self.named_palette = palette if isinstance(palette, str) else None
        for remark in remarks:
            logger.warning(f'palette: {remark}')
        channels, count = controlnet.config.conditioning_channels, len(classes)
        allowed = dict(palette=(3, ), one_hot=(count, count + 1))[rendering]
        if channels not in allowed:
            raise unfit(f'the ControlNet reads {channels} channels, rendering={rendering!r} of {count} classes has '
                        f'{allowed[0]}')
        for key in ('cross_attention_dim', 'block_out_channels', 'in_channels'):
            check_fit(f'{key} of controlnet', controlnet.config[key], 'of unet', unet.config[key])
        check_fit('down-sampling of the control image',
                  2**(len(controlnet.config.conditioning_embedding_out_channels) - 1), 'factor of vae', vae_factor(vae))
        super().__init__(vae, unet, prompts, TextDenoiser(unet, controlnet, control_scale), scheduler, classes=classes,
                         prompt=prompt, **settings)

    @classmethod
    def from_pretrained(cls, weights: str, controlnet: str,  # type: ignore[override]
                        **settings: Any) -> 'ControlNetGenerator':
        """See :meth:`LatentGenerator.from_pretrained`; ``controlnet`` is a folder, hub address or single file."""
        from diffusers import ControlNetModel
        source = Weights(controlnet, config=settings.get('config') or weights)
        network = source.load((ControlNetModel, ), 'unet', dtype_of(settings.get('dtype', 'float32')))
        generator = super().from_pretrained(weights, controlnet=network, **settings)
        generator.sources['controlnet'] = source.describe()
        return generator  # type: ignore[return-value]

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """See :meth:`LatentGenerator.check`. The palette is checked if the settings contain it and the classes."""
        super().check(settings, where)
        if setting(cls, settings, 'rendering') == 'palette' and {'classes', 'palette'} <= set(settings):
            resolve_palette(settings['palette'], settings['classes'], where)

    @classmethod
    def check_weights(cls, settings: Mapping[str, Any], where: str) -> None:
        super().check_weights(settings, where)
        check_weights(settings['controlnet'], (), f'{where}.controlnet',
                      settings.get('config') or settings['weights'])

    def describe(self) -> dict:
        named = {} if self.named_palette is None else dict(palette=self.named_palette)
        return dict(super().describe(), control_scale=self.denoiser.scale, rendering=self.rendering, **named)

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor]) -> Condition:
        """Control image, prompt and mask; the unconditional pass has the negative prompt."""
        assert masks is not None
        channels = self.denoiser.controlnet.config.conditioning_channels
        control = (render_palette(masks, self.palette) if self.rendering == 'palette' else
                   render_one_hot(masks, self.num_classes, channels))
        prompts = [self.prompt_of(request, mask) for request, mask in zip(requests, masks)]
        return self.prompted(requests, prompts, mask=masks, control=control)

    def prompt_of(self, request: Request, mask: Tensor) -> str:
        """The prompt of a request, or the template with the classes in its mask (H, W)."""
        if request.prompt is not None:
            return self.prompts.checked(request)

        def text(ids: Sequence[int]) -> str:
            return self.prompt.format(classes=', '.join(self.classes[c] for c in ids))

        return text(self.classes_in(request, mask, text))
