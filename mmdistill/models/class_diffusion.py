"""Training of a class-conditional latent diffusion model."""
from dataclasses import replace
from typing import Any, Sequence, Tuple

import torch
from torch import Tensor

from mmdistill.errors import DistillError
from mmdistill.generation.class_conditional import ClassConditionalGenerator
from mmdistill.generation.unets import ClassUNet
from mmdistill.plan import Request
from mmdistill.registry import MODELS
from mmdistill.settings import Share, validated
from .latent_diffusion import LatentDiffusion


@MODELS.register_module()
class ClassDiffusion(LatentDiffusion):
    """Denoising training of :class:`ClassUNet` on any classification data set; the condition is the class.

    The loss is :class:`LatentDiffusion`'s with w = 1.

    Args:
        vae: See :class:`LatentDiffusion`.
        unet: Arguments of :class:`ClassUNet` but for ``latent_channels``.
        class_drop: Share of the samples trained without their class.
        kwargs: ``cache_latents``, ``num_sampling_steps`` and ``data_preprocessor`` of :class:`LatentDiffusion`.
    """
    network = ClassUNet

    @validated
    def __init__(self, vae: str, unet: dict, class_drop: Share = 0.1, **kwargs: Any) -> None:
        super().__init__(vae, unet, class_drop, **kwargs)

    def condition(self, data_samples: Sequence[Any]) -> Tensor:
        """Class ids (B,); a DistillError where the network does not have a class."""
        labels = torch.stack([sample.gt_label[0] for sample in data_samples]).long()
        if labels.max() >= (classes := self.unet.config.num_classes):
            raise DistillError(f'class id {int(labels.max())} in the data set, but model.unet.num_classes is '
                               f'{classes}: set it to the number of classes')
        return labels

    def null(self, condition: Tensor) -> Tensor:
        """The id behind the last class."""
        return torch.full_like(condition, self.unet.config.num_classes)

    def sample(self, data_samples: Sequence[Any], requests: Sequence[Request], size: Tuple[int, int]) -> Tensor:
        """See :meth:`LatentDiffusion.sample`."""
        generator = ClassConditionalGenerator(self.vae, self.unet, self.scheduler, image_size=size,
                                              num_steps=self.num_sampling_steps)
        labels = self.condition(data_samples).tolist()
        return generator.sample_images([replace(r, classes=(label, )) for r, label in zip(requests, labels)])
