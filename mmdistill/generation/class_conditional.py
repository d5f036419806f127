"""Models that are told a class id."""
import logging
from typing import Dict, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from ..errors import DistillError
from ..plan import Request
from .class_unet import ClassUNet
from .conditions import Condition, class_rows
from .denoisers import ClassDenoiser
from .generators import LatentGenerator, Size
from .soft_labels import install_soft_labels
from ..weights.hub import check_fit, class_name, dtype_of, fingerprints, licence, load_part, resolve
from .schedulers import load_scheduler
from .autoencoders import load_vae, vae_factor

logger = logging.getLogger('mmdistill')


class ClassConditionalGenerator(LatentGenerator):
    """Classes, and start latents where there are any, to images: a DiT (arXiv 2212.09748) or a
    :class:`~mmdistill.generation.class_unet.ClassUNet`.

    A DiT's learned variance is used by a DDPM scheduler with ``variance_type='learned_range'`` and left aside by all
    others, as diffusers' own pipeline does.

    Args:
        weights: diffusers folder or hub id with ``transformer`` (``DiTTransformer2DModel``) or ``unet``
            (``ClassUNet``), ``vae`` and ``scheduler``.
        classes: Names of the data set's classes, in the order of the ids; None for as many as the weights have.
        class_ids: The weights' id of each class of the data set, where they are not the same: ImageNet's for some of
            its classes.
        image_size: That of the training by default, where the weights say it.
        scheduler: None for the folder's own, a class name, or ``dict(type=name, key=value, …)``.
        strength: See :class:`LatentGenerator`, as are the other settings.

    Raises:
        DistillError: The weights are missing, do not fit each other, have no class condition, or other classes.

    Example:
        >>> generator = ClassConditionalGenerator('work_dirs/imagenette_class_unet/export', image_size=128,
        ...                                       num_steps=20, scheduler='DPMSolverMultistepScheduler')
        >>> images = generator.generate(requests, latents=latents)
    """
    kind = 'classes'
    embedded = 'label'  # what `embed` makes embeddings of

    def __init__(self,
                 weights: str,
                 *,
                 classes: Optional[Sequence[str]] = None,
                 class_ids: Optional[Sequence[int]] = None,
                 image_size: Optional[Size] = None,
                 scheduler: Union[None, str, dict] = None,
                 dtype: str = 'float32',
                 **settings):
        from diffusers import DiTTransformer2DModel
        known = {cls.__name__: cls for cls in (DiTTransformer2DModel, ClassUNet)}
        parts = ('transformer', 'unet', 'vae', 'scheduler')
        if terms := licence(weights):
            logger.warning('%s: weights under %s', weights, terms)
        folder = resolve(weights, parts)
        part = folder / 'transformer' if (folder / 'transformer').is_dir() else folder / 'unet'
        if (name := class_name(part)) not in known:
            raise DistillError(f'weights that do not fit the config: {part} holds a {name}, which has no class '
                               f'condition: give {" or ".join(known)}')
        network = load_part(known[name], part, dtype_of(dtype))
        self._assemble(load_vae(str(folder)), network, load_scheduler(folder, scheduler), image_size, classes,
                       class_ids, dtype=dtype, **settings)
        self.sources = dict(generator=dict(
            id=str(weights), sha256=fingerprints(folder, parts), **(dict(licence=terms) if terms else {})))

    @classmethod
    def from_parts(cls, vae: nn.Module, network: nn.Module, scheduler, image_size: Optional[Size] = None,
                   **settings) -> 'ClassConditionalGenerator':
        """A generator of networks at hand, which are used as they are: neither frozen, moved nor cast."""
        generator = cls.__new__(cls)
        generator._assemble(vae, network, scheduler, image_size, **settings)
        return generator

    def _assemble(self, vae, network, scheduler, image_size, classes=None, class_ids=None, **settings) -> None:
        config, factor = network.config, vae_factor(vae)
        transformer = hasattr(config, 'num_embeds_ada_norm')
        channels, patch = ((config.in_channels, config.patch_size) if transformer else
                           (config.latent_channels, 2**(len(config.block_out_channels) - 1)))
        self.null = config.num_embeds_ada_norm if transformer else config.num_classes  # both keep it behind the last
        size = image_size or (config.sample_size and config.sample_size * factor)
        if not size:
            raise DistillError('the weights do not say their image size: give the generator image_size')
        self.class_ids = self._check_classes(classes, class_ids)
        LatentGenerator.__init__(self, vae, ClassDenoiser(network), scheduler, image_size=size,
                                 num_classes=len(self.class_ids), **settings)
        check_fit('channels of the denoiser', channels, 'latent_channels of vae', vae.config.latent_channels)
        if any(side % (factor * patch) for side in self.image_size):
            raise DistillError(f'image_size {self.image_size} must be a multiple of {factor * patch} with these '
                               'weights')
        if transformer and self.image_size[0] != self.image_size[1]:
            raise DistillError(f'image_size {self.image_size}: a DiT makes square images')

    def _check_classes(self, classes, class_ids) -> Sequence[int]:
        wanted = self.null if classes is None else len(classes)
        if class_ids is None:
            if wanted != self.null:
                raise DistillError(f'the generator\'s weights have {self.null} classes, the data set {wanted}: give '
                                   'weights of these classes, or class_ids, the weights\' id of each')
            return range(self.null)
        if classes is not None and len(class_ids) != wanted:
            raise DistillError(f'{len(class_ids)} class_ids for the {wanted} classes of the data set: give one '
                               'a class')
        wrong = [i for i in class_ids if not 0 <= i < self.null]
        if wrong:
            raise DistillError(f'class_ids has {wrong[0]}, but the weights have classes 0..{self.null - 1}')
        return list(class_ids)

    def describe(self) -> dict:
        """See :meth:`LatentGenerator.describe`."""
        return dict(super().describe(), class_ids=list(self.class_ids))

    def condition(self, requests: Sequence[Request], masks: Optional[Tensor] = None) -> Condition:
        """The requests' classes; the unconditional pass has the null class."""
        for request in requests:
            if len(request.classes) != 1 or not 0 <= request.classes[0] < self.num_classes:
                raise DistillError(f'request {request.id} is for classes {list(request.classes)}: give one of '
                                   f'0..{self.num_classes - 1}')
        label = torch.tensor([self.class_ids[request.classes[0]] for request in requests])
        return Condition(dict(label=label, **class_rows(requests)), dict(label=torch.full_like(label, self.null)),
                         tuple(f'request {r.id}' for r in requests))

    def class_embeddings(self, requests: Sequence[Request] = ()) -> Dict[int, Tensor]:
        """The embedding (D,) of each class of the data set; the network then takes embeddings in place of labels.

        Raises:
            DistillError: A DiT whose blocks embed classes differently; see
                :func:`~mmdistill.generation.soft_labels.install_soft_labels`.
        """
        table = self._table().weight.detach()
        return {own: table[label] for own, label in enumerate(self.class_ids)}

    def embed(self, condition: Condition) -> Condition:
        """The condition with float embeddings ``label`` (B, D) in place of labels, for both passes."""
        with torch.no_grad():
            tensors, nulls = ({'label': self._table()(labels['label'])}
                              for labels in (condition.tensors, condition.nulls))
        return condition.replace(tensors, nulls)

    def _table(self) -> nn.Embedding:
        network = self.denoiser.network
        return network.labels if isinstance(network, ClassUNet) else install_soft_labels(network).table
