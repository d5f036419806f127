"""Layout-to-image generation with a small UNet."""
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

import torch
from torch import Tensor

from ..errors import DistillError
from ..known_classes import KnownClasses, check_number
from ..masks import IGNORE
from ..plan import Request
from ..settings import NonNegativeInt, validated
from ..weights.classes import classes_in
from ..weights.hub import Weights, check_fit
from .autoencoders import vae_factor
from .conditions import Condition
from .denoisers import Denoiser, unet_multiple
from .generators import LatentGenerator
from .unets import LayoutUNet


class LayoutUNetGenerator(LatentGenerator):
    """Generates images of masks with a :class:`~mmdistill.generation.unets.LayoutUNet`.

    Args:
        vae, scheduler: See :class:`LatentGenerator`.
        unet: A :class:`~mmdistill.generation.unets.LayoutUNet`.
        classes: Class names of the dataset, in the order of the ids; None uses all classes of the weights.
        class_ids: Id in the weights of each class of the dataset, if they differ.
        **settings: See :class:`LatentGenerator`; ``image_size`` is required.

    Example:
        >>> import numpy as np
        >>> from mmdistill.plan import Request
        >>> generator = LayoutUNetGenerator.from_pretrained(
        ...     'mmdistill://streets', image_size=64, num_steps=2, scheduler='DPMSolverMultistepScheduler')
        >>> images = generator.generate([Request('000000', seed=1)], masks=np.zeros((1, 64, 64), np.uint8))
        >>> images[0].shape
        (64, 64, 3)
    """
    networks = ('LayoutUNet', )
    needs = ('classes', )

    @validated
    def __init__(self, vae: Any, unet: Any, scheduler: Any, *, classes: Optional[Sequence[str]] = None,
                 class_ids: Optional[Sequence[NonNegativeInt]] = None, **settings: Any):
        check_number(classes, class_ids, type(self).__name__)
        known = KnownClasses.of(unet.config.num_classes, unet.config.get('classes'))
        ids = known.ids_of(classes, class_ids, type(self).__name__)
        self.class_ids = None if class_ids is None else list(ids)
        check_fit('layout_factor of unet', unet.config.layout_factor, 'factor of vae', vae_factor(vae))
        check_fit('latent_channels of unet', unet.config.latent_channels, 'of vae', vae.config.latent_channels)
        super().__init__(vae, Denoiser(unet, 'mask' if class_ids is None else 'layout'), scheduler, len(ids),
                         unet_multiple(unet), **settings)

    @classmethod
    def load(cls, weights: Weights, dtype: torch.dtype) -> Dict[str, Any]:
        return dict(unet=weights.load((LayoutUNet, ), 'unet', dtype))

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        check_number(settings.get('classes'), settings.get('class_ids'), where)
        super().check(settings, where)
        if settings.get('image_size') is None:
            raise DistillError(f'{where}: the weights do not contain their image size: set {where}.image_size')

    @classmethod
    def check_classes(cls, folder: Path, settings: Mapping[str, Any], where: str) -> None:
        if known := classes_in(folder):
            known.ids_of(settings.get('classes'), settings.get('class_ids'), where)

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor]) -> Condition:
        """The masks; with ``class_ids``, also the masks in the ids of the weights. Null masks have no labels."""
        assert masks is not None
        maps = dict(mask=masks)
        if self.class_ids is not None:
            table = torch.full((IGNORE + 1, ), IGNORE)
            table[:self.num_classes] = torch.tensor(self.class_ids)
            maps['layout'] = table.to(masks.device)[masks]
        return Condition(maps, {name: torch.full_like(masks, IGNORE) for name in maps}, tuple(requests))

    def describe(self) -> dict:
        return dict(super().describe(), **({} if self.class_ids is None else dict(class_ids=self.class_ids)))
