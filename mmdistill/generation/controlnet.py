"""A text-to-image model led by a ControlNet."""
import logging
from typing import Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request
from .conditions import Condition
from .denoisers import ControlNetDenoiser
from .generators import LatentGenerator, Size
from .palette import check_palette, render_one_hot, render_palette, same_colours
from .prompts import PromptEncoder
from ..weights.hub import check_fit, dtype_of, fingerprints, load_part, resolve
from .schedulers import load_scheduler
from .autoencoders import load_vae, vae_factor

logger = logging.getLogger('mmdistill')


class ControlNetGenerator(LatentGenerator):
    """Label maps to images with Stable Diffusion 1.x/2.x and a segmentation ControlNet (arXiv 2302.05543).

    The label map itself stays the truth: it is rendered for the ControlNet, and never read back from colours.

    Args:
        weights: diffusers folder or hub id with ``unet``, ``vae``, ``text_encoder``, ``tokenizer`` and ``scheduler``.
        controlnet: Folder or hub id of the ControlNet.
        classes: Names of the classes, in the order of the ids, for prompts.
        palette: One RGB triple a class, as the ControlNet was trained with; e.g. the data set's metainfo.
        prompt: Template; ``{classes}`` becomes the names of the classes in the mask, those with most pixels first. A
            request's own prompt goes before it.
        negative_prompt: Prompt of the unconditional pass.
        control_scale: Factor of the ControlNet's residuals.
        rendering: ``'palette'``, or ``'one_hot'`` for a ControlNet with one input channel a class (and perhaps one
            more for unlabelled pixels).
        image_size: The UNet's own by default.
        scheduler: None for the folder's own, a class name, or ``dict(type=name, key=value, …)``.
        dtype: See :class:`LatentGenerator`, as are the other settings.

    Raises:
        DistillError: The weights are missing or do not fit each other, the palette or the template is wrong.
    """

    def __init__(self,
                 weights: str,
                 controlnet: str,
                 classes: Sequence[str],
                 palette: Optional[Sequence[Tuple[int, int, int]]] = None,
                 *,
                 prompt: str = 'a photo of {classes}',
                 negative_prompt: str = '',
                 control_scale: float = 1.0,
                 rendering: str = 'palette',
                 image_size: Optional[Size] = None,
                 scheduler: Union[None, str, dict] = None,
                 dtype: str = 'float32',
                 **settings):
        from diffusers import ControlNetModel, UNet2DConditionModel
        parts = ('unet', 'vae', 'text_encoder', 'tokenizer', 'scheduler')
        folder, control_folder = resolve(weights, parts), resolve(controlnet)
        steps = load_scheduler(folder, scheduler)  # a scheduler that cannot be guided is refused before the long loads
        unet = load_part(UNet2DConditionModel, folder / 'unet', dtype_of(dtype))
        control = load_part(ControlNetModel, control_folder, dtype_of(dtype))
        vae = load_vae(str(folder))
        self.prompts = PromptEncoder(folder, dtype)
        self.classes = list(classes)
        self.prompt, self.negative_prompt = _template(prompt), negative_prompt
        self._set_rendering(rendering, palette, control.config.conditioning_channels)
        check_fit('in_channels of unet', unet.config.in_channels, 'latent_channels of vae', vae.config.latent_channels)
        for key in ('cross_attention_dim', 'block_out_channels', 'in_channels'):
            check_fit(f'{key} of controlnet', control.config[key], 'of unet', unet.config[key])
        check_fit('cross_attention_dim of unet', unet.config.cross_attention_dim, 'hidden size of text_encoder',
                  self.prompts.text_encoder.config.hidden_size)
        check_fit('down-sampling of the control image',
                  2**(len(control.config.conditioning_embedding_out_channels) - 1), 'factor of vae', vae_factor(vae))
        super().__init__(vae, ControlNetDenoiser(unet, control, control_scale), steps,
                         image_size=image_size or unet.config.sample_size * vae_factor(vae),
                         num_classes=len(self.classes), dtype=dtype, **settings)
        multiple = vae_factor(vae) * 2**(len(unet.config.block_out_channels) - 1)
        if any(side % multiple for side in self.image_size):
            raise DistillError(f'image_size {self.image_size} must be a multiple of {multiple} with these weights')
        self.sources = dict(
            generator=dict(id=str(weights), sha256=fingerprints(folder, parts)),
            controlnet=dict(id=str(controlnet), sha256=fingerprints(control_folder, ('.', ))))

    def to(self, device) -> 'ControlNetGenerator':
        """Move the networks."""
        self.prompts.text_encoder.to(device)
        return super().to(device)

    def describe(self) -> dict:
        """See :meth:`LatentGenerator.describe`."""
        return dict(super().describe(), prompt=self.prompt, negative_prompt=self.negative_prompt,
                    control_scale=self.denoiser.scale, rendering=self.rendering)

    def condition(self, requests: Sequence[Request], masks: Tensor) -> Condition:
        """Control image, prompt and label map; the unconditional pass differs in its prompt, the negative one."""
        if self.rendering == 'palette':
            control = render_palette(masks, self.palette)
        else:
            control = render_one_hot(masks, self.num_classes, self.denoiser.controlnet.config.conditioning_channels)
        prompt = torch.cat([self.prompts(self.prompt_of(request, mask)) for request, mask in zip(requests, masks)])
        null = self.prompts(self.negative_prompt).expand_as(prompt)
        return Condition(dict(mask=masks, control=control, prompt=prompt), dict(prompt=null),
                         tuple(f'request {r.id}' for r in requests))

    def prompt_of(self, request: Request, mask: Tensor) -> str:
        """The prompt of a request: its own, or the template with the classes of its mask that CLIP has room for.

        Classes that do not fit are left out from the smallest on, and a warning names them.
        """
        if request.prompt is not None:
            return self.prompts.checked(request)
        counts = torch.bincount(mask[mask != 255], minlength=self.num_classes)
        # Stable, so that of two classes of one size the first id comes first on every machine.
        order = torch.sort(counts, descending=True, stable=True).indices
        names = [self.classes[c] for c in order.tolist() if counts[c] > 0]
        kept = len(names)
        while kept > 1 and not self.prompts.fits(self.prompt.format(classes=', '.join(names[:kept]))):
            kept -= 1
        if kept < len(names):
            logger.warning(f'request {request.id}: CLIP reads {self.prompts.limit} tokens, so its prompt leaves out '
                           + ', '.join(names[kept:]))
        return self.prompt.format(classes=', '.join(names[:kept]))

    def _set_rendering(self, rendering: str, palette, channels: int) -> None:
        allowed = dict(palette=(3, ), one_hot=(len(self.classes), len(self.classes) + 1))
        if rendering not in allowed:
            raise DistillError(f'rendering={rendering!r} is unknown: set it to palette or one_hot')
        if channels not in allowed[rendering]:
            raise DistillError(f'weights that do not fit the config: the ControlNet reads {channels} channels, '
                               f'rendering={rendering!r} of {len(self.classes)} classes has {allowed[rendering][0]}')
        self.rendering = rendering
        if rendering == 'palette':
            if palette is None:
                raise DistillError("rendering='palette' needs a palette: one RGB triple a class")
            self.palette = check_palette(palette, self.classes)
            for names in same_colours(self.palette, self.classes):
                logger.warning(f'palette: {", ".join(names)} have one colour: the ControlNet cannot tell them apart')


def _template(prompt: str) -> str:
    try:
        prompt.format(classes='')
    except (KeyError, IndexError, ValueError):
        raise DistillError(f'prompt={prompt!r}: the only field is {{classes}}') from None
    return prompt
