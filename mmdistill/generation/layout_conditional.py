"""A model that is told a label map."""
from typing import Sequence, Union

import torch
from torch import Tensor, nn

from ..errors import DistillError
from ..masks import IGNORE
from ..plan import Request
from .conditions import Condition
from .denoisers import LayoutUNetDenoiser
from .generators import LatentGenerator
from .layout_unet import LayoutUNet
from ..weights.hub import check_fit, class_name, dtype_of, fingerprints, load_part, resolve
from .schedulers import load_scheduler
from .autoencoders import load_vae, vae_factor


class LayoutUNetGenerator(LatentGenerator):
    """Label maps to images with a :class:`~mmdistill.generation.layout_unet.LayoutUNet`.

    Args:
        weights: diffusers folder or hub id with ``unet``, ``vae`` and ``scheduler``.
        scheduler: None for the folder's own, a class name, or ``dict(type=name, key=value, …)``.
        dtype: See :class:`LatentGenerator`, as are the other settings; ``image_size`` must be given.

    Raises:
        DistillError: The weights are missing or do not fit each other.

    Example:
        >>> generator = LayoutUNetGenerator('work_dirs/streets/diffusers', image_size=64, num_steps=12,
        ...                                 scheduler='DPMSolverMultistepScheduler')
        >>> images = generator.generate(requests, masks)
    """

    def __init__(self, weights: str, *, scheduler: Union[None, str, dict] = None, dtype: str = 'float32', **settings):
        parts = ('unet', 'vae', 'scheduler')
        folder = resolve(weights, parts)
        if (name := class_name(folder / 'unet')) != 'LayoutUNet':
            raise DistillError(f'weights that do not fit the config: {folder}/unet holds a {name}, not a LayoutUNet')
        unet = load_part(LayoutUNet, folder / 'unet', dtype_of(dtype))
        self._assemble(load_vae(str(folder)), unet, load_scheduler(folder, scheduler), dtype=dtype, **settings)
        self.sources = dict(generator=dict(id=str(weights), sha256=fingerprints(folder, parts)))

    @classmethod
    def from_parts(cls, vae: nn.Module, unet: nn.Module, scheduler, **settings) -> 'LayoutUNetGenerator':
        """A generator of networks at hand, which are used as they are: neither frozen, moved nor cast."""
        generator = cls.__new__(cls)
        generator._assemble(vae, unet, scheduler, **settings)
        return generator

    def _assemble(self, vae, unet, scheduler, **settings) -> None:
        LatentGenerator.__init__(self, vae, LayoutUNetDenoiser(unet), scheduler, num_classes=unet.config.num_classes,
                                 **settings)
        check_fit('layout_factor of unet', unet.config.layout_factor, 'factor of vae', vae_factor(vae))
        check_fit('latent_channels of unet', unet.config.latent_channels, 'of vae', vae.config.latent_channels)
        multiple = vae_factor(vae) * 2**(len(unet.config.block_out_channels) - 1)
        if any(side % multiple for side in self.image_size):
            raise DistillError(f'image_size {self.image_size} must be a multiple of {multiple} with these weights')

    def condition(self, requests: Sequence[Request], masks: Tensor) -> Condition:
        """The label maps; a map without labels is the null condition."""
        return Condition(dict(mask=masks), dict(mask=torch.full_like(masks, IGNORE)),
                         tuple(f'request {r.id}' for r in requests))
