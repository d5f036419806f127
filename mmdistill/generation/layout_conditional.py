"""A model that is told a label map."""
from typing import Any, Dict, Mapping, Optional, Sequence

import torch
from torch import Tensor

from ..errors import DistillError
from ..masks import IGNORE
from ..plan import Request
from ..weights.hub import Weights, check_fit
from .autoencoders import vae_factor
from .conditions import Condition
from .denoisers import Denoiser, unet_multiple
from .generators import LatentGenerator
from .unets import LayoutUNet


class LayoutUNetGenerator(LatentGenerator):
    """Label maps to images with a :class:`~mmdistill.generation.unets.LayoutUNet`.

    For the arguments see :class:`LatentGenerator`; ``image_size`` must be given.

    Example:
        >>> generator = LayoutUNetGenerator.from_pretrained(
        ...     'work_dirs/streets/diffusers', image_size=64, num_steps=12, scheduler='DPMSolverMultistepScheduler')
        >>> images = generator.generate(requests, masks)
    """
    networks = ('LayoutUNet', )

    def __init__(self, vae: Any, unet: Any, scheduler: Any, **settings: Any):
        check_fit('layout_factor of unet', unet.config.layout_factor, 'factor of vae', vae_factor(vae))
        check_fit('latent_channels of unet', unet.config.latent_channels, 'of vae', vae.config.latent_channels)
        super().__init__(vae, Denoiser(unet, 'mask'), scheduler, unet.config.num_classes, unet_multiple(unet),
                         **settings)

    @classmethod
    def load(cls, weights: Weights, dtype: torch.dtype) -> Dict[str, Any]:
        return dict(unet=weights.load((LayoutUNet, ), 'unet', dtype))

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        super().check(settings, where)
        if settings.get('image_size') is None:
            raise DistillError(f'{where}: the weights do not say their image size; give it {where}.image_size')

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor]) -> Condition:
        """The label maps; a map without labels is the null condition."""
        assert masks is not None
        return Condition(dict(mask=masks), dict(mask=torch.full_like(masks, IGNORE)), tuple(requests))
