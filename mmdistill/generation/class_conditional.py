"""Generators conditioned on class ids."""
import logging
from pathlib import Path
from typing import Any, Dict, Literal, Mapping, Optional, Sequence

import torch
from torch import Tensor

from ..errors import DistillError
from ..imagenet import imagenet_ids
from ..known_classes import KnownClasses, check_number
from ..plan import Request
from ..settings import NonNegativeInt, validated
from ..weights.address import local_path
from ..weights.classes import classes_in
from ..weights.configs import read_config
from ..weights.hub import Weights, check_fit
from .autoencoders import vae_factor
from .unets import ClassUNet
from .conditions import Condition
from .denoisers import Denoiser, unet_multiple
from .generators import LatentGenerator, Size
from .soft_labels import install_soft_labels
from .timesteps import DIFFUSERS_SHIFT, get_timestep_shift, set_timestep_shift, trained_shift

logger = logging.getLogger('mmdistill')


class ClassConditionalGenerator(LatentGenerator):
    """Generates images of classes, optionally from start latents, with a DiT (arXiv 2212.09748) or a
    :class:`~mmdistill.generation.unets.ClassUNet`.

    As in diffusers' pipeline, a DDPM scheduler with ``variance_type='learned_range'`` uses the variance learned by a
    DiT, and other schedulers ignore it.

    Args:
        vae, scheduler: See :class:`LatentGenerator`.
        **settings: See :class:`LatentGenerator`.
        network: ``DiTTransformer2DModel`` or ``ClassUNet``, from the sub-folder ``transformer`` or ``unet``.
        classes: Class names of the dataset, in the order of the ids; None uses all classes of the weights.
        class_ids: Id in the weights of each class of the dataset, if they differ, such as for a subset of ImageNet.
            They are checked if the class names are WordNet ids.
        image_size: Side, or (H, W), in pixels; default: the size in training, if the weights contain it.
        timestep_shift: s in the frequencies ``exp(-ln(10000) k / (h - s))``, k = 0..h-1, of a DiT's timestep embedding:
            0 in the original code of DiT, which trained the public weights, 1 in diffusers. By default,
            :meth:`from_pretrained` uses 0 for weights converted by diffusers' script
            (:func:`~mmdistill.generation.timesteps.trained_shift`) and 1 for others. Set 0 for converted weights that
            diffusers saved again. The default of the constructor does not change the network.

    Example:
        >>> generator = ClassConditionalGenerator.from_pretrained(
        ...     'mmdistill://objects', num_steps=2, scheduler='DPMSolverMultistepScheduler')
        >>> images = generator.generate([Request('boat/0', seed=1, classes=(0, ))])
        >>> images[0].shape, images[0].dtype
        ((64, 64, 3), dtype('uint8'))
    """
    annotation = 'classes'
    needs = ('classes', )
    parts = ('transformer', 'unet', 'vae', 'scheduler')
    networks = ('DiTTransformer2DModel', 'ClassUNet')
    embedded = 'label'  # name of the tensor that `embed` replaces by embeddings

    @validated
    def __init__(self, vae: Any, network: Any, scheduler: Any, *, classes: Optional[Sequence[str]] = None,
                 class_ids: Optional[Sequence[NonNegativeInt]] = None, image_size: Optional[Size] = None,
                 timestep_shift: Optional[Literal[0, 1]] = None, **settings: Any):
        config = network.config
        transformer = hasattr(config, 'num_embeds_ada_norm')
        _check_shift(timestep_shift, transformer, type(self).__name__)
        channels = config.in_channels if transformer else config.latent_channels
        patch = config.patch_size if transformer else unet_multiple(network)
        self.null = config.num_embeds_ada_norm if transformer else config.num_classes  # the id after the last class
        check_fit('channels of the denoiser', channels, 'latent_channels of vae', vae.config.latent_channels)
        ClassConditionalGenerator.check(dict(classes=classes, class_ids=class_ids), type(self).__name__)
        known = KnownClasses.of(self.null, config.get('classes'))
        self.class_ids = known.ids_of(classes, class_ids, type(self).__name__)
        _check_imagenet(classes, self.class_ids, type(self).__name__, self.null)
        if image_size is None and config.sample_size:
            image_size = config.sample_size * vae_factor(vae)
        super().__init__(vae, Denoiser(network, 'label'), scheduler, len(self.class_ids), patch, image_size=image_size,
                         **settings)
        if transformer and self.image_size[0] != self.image_size[1]:
            raise DistillError(f'image_size {self.image_size}: a DiT makes square images')
        if timestep_shift is not None:
            set_timestep_shift(network, timestep_shift)
        self.timestep_shift = get_timestep_shift(network) if transformer else None
        if self.timestep_shift not in (None, DIFFUSERS_SHIFT):
            logger.warning('DiT: timestep embedding with shift %s, as in the code that trained the public weights; '
                           'diffusers has %s', self.timestep_shift, DIFFUSERS_SHIFT)

    @classmethod
    def load(cls, weights: Weights, dtype: torch.dtype) -> Dict[str, Any]:
        from diffusers import DiTTransformer2DModel
        part = 'transformer' if (weights.configs / 'transformer').is_dir() else 'unet'
        network = weights.load((DiTTransformer2DModel, ClassUNet), part, dtype)
        if part == 'transformer':
            set_timestep_shift(network, trained_shift(read_config(weights.folder(part))))
        return dict(network=network)

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        classes, class_ids = settings.get('classes'), settings.get('class_ids')
        check_number(classes, class_ids, where)
        if classes is not None and class_ids is not None and 'DiT-XL-2' in str(settings.get('weights')):
            _check_imagenet(classes, class_ids, where)  # for other weights, the constructor knows the classes
        super().check(settings, where)

    @classmethod
    def check_classes(cls, folder: Path, settings: Mapping[str, Any], where: str) -> None:
        if known := classes_in(folder):
            known.ids_of(settings.get('classes'), settings.get('class_ids'), where)

    @classmethod
    def check_weights(cls, settings: Mapping[str, Any], where: str) -> None:
        super().check_weights(settings, where)
        if settings.get('timestep_shift') is not None and (path := local_path(settings['weights'])) is not None:
            _check_shift(settings['timestep_shift'], (path / 'transformer').is_dir(), where)

    def describe(self) -> dict:
        shift = {} if self.timestep_shift is None else dict(timestep_shift=self.timestep_shift)
        return dict(super().describe(), class_ids=list(self.class_ids), **shift)

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor] = None) -> Condition:
        """The classes of the requests; the unconditional pass has the null class."""
        label = torch.tensor([self.class_ids[request.single_class(range(self.num_classes))] for request in requests])
        return Condition(dict(label=label), dict(label=torch.full_like(label, self.null)), tuple(requests))

    def class_embeddings(self, requests: Sequence[Request] = ()) -> Dict[int, Tensor]:
        """The embedding (D,) of each class of the dataset. Afterwards, the network accepts embeddings as labels.

        Raises:
            DistillError: The blocks of a DiT embed classes differently
                (:func:`~mmdistill.generation.soft_labels.install_soft_labels`).
        """
        table = self._table()
        return {index: table[label] for index, label in enumerate(self.class_ids)}

    def embed(self, condition: Condition) -> Condition:
        """The condition with embeddings ``label`` (B, D) instead of class ids, for both passes."""
        table = self._table()
        return condition.replace(dict(label=table[condition['label']]), dict(label=table[condition.nulls['label']]))

    def _table(self) -> Tensor:
        network = self.denoiser.network
        table = network.labels if isinstance(network, ClassUNet) else install_soft_labels(network).table
        return table.weight.detach()


def _check_shift(shift: Optional[int], transformer: bool, where: str) -> None:
    if shift is not None and not transformer:
        raise DistillError(f'{where}: timestep_shift={shift} is a setting of a DiT, and the weights are those of a '
                           'ClassUNet: leave it out')


def _check_imagenet(classes: Optional[Sequence[str]], class_ids: Sequence[int], where: str, known: int = 1000) -> None:
    """Raise a DistillError if classes named by WordNet ids have other class ids than in ImageNet.

    Weights with ``known`` = 1000 classes are assumed to have ImageNet's classes.
    """
    if known != 1000:
        return
    for name, wanted, found in zip(classes or (), imagenet_ids(classes or ()) or (), class_ids):
        if wanted != found:
            raise DistillError(f'{where}: class_ids maps {name} to id {found} of the weights, and its ImageNet id is '
                               f'{wanted}: correct class_ids, or the order of the dataset\'s classes')
