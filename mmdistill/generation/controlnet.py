"""A text-to-image model led by a ControlNet."""
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
    """Label maps to images with Stable Diffusion 1.x/2.x and a segmentation ControlNet (arXiv 2302.05543).

    The label map itself stays the truth: it is rendered for the ControlNet, and never read back from colours.

    Args:
        vae, unet, prompts, scheduler: See :class:`~mmdistill.generation.text_to_image.LayoutToImage`, as are the other
            settings.
        controlnet: ``ControlNetModel``.
        palette: One RGB triple per class, as the ControlNet was trained with; by default those of the dataset's
            metainfo, which are right for ADE20K. ``'coco_panoptic'`` for COCO-Stuff, whose own colours are not all
            distinct: the colours of the 133 panoptic classes, in which some classes are alike or missing.
        classes, prompt: The classes with most pixels are named first. A request's own prompt replaces the template.
        control_scale: Factor of the ControlNet's residuals.
        rendering: ``'palette'``, or ``'one_hot'`` for a ControlNet with one input channel per class (and perhaps one
            more for unlabelled pixels).
    """
    needs = ('classes', 'palette')
    palette: Sequence[Sequence[int]]  # an RGB triple per class, if masks are rendered in colours

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
        """See :meth:`LatentGenerator.from_pretrained`; ``controlnet`` is a folder, a hub address or a single file."""
        from diffusers import ControlNetModel
        source = Weights(controlnet, config=settings.get('config') or weights)
        network = source.load((ControlNetModel, ), 'unet', dtype_of(settings.get('dtype', 'float32')))
        generator = super().from_pretrained(weights, controlnet=network, **settings)
        generator.sources['controlnet'] = source.describe()
        return generator  # type: ignore[return-value]

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """See :meth:`LatentGenerator.check`. A palette is checked once it and the classes are among the settings."""
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
        """Control image, prompt and label map; the unconditional pass differs in its prompt, the negative one."""
        assert masks is not None
        channels = self.denoiser.controlnet.config.conditioning_channels
        control = (render_palette(masks, self.palette) if self.rendering == 'palette' else
                   render_one_hot(masks, self.num_classes, channels))
        prompts = [self.prompt_of(request, mask) for request, mask in zip(requests, masks)]
        return self.prompted(requests, prompts, mask=masks, control=control)

    def prompt_of(self, request: Request, mask: Tensor) -> str:
        """The prompt of a request: its own, or the template with the classes of its mask (H, W)."""
        if request.prompt is not None:
            return self.prompts.checked(request)

        def text(ids: Sequence[int]) -> str:
            return self.prompt.format(classes=', '.join(self.classes[c] for c in ids))

        return text(self.classes_in(request, mask, text))
