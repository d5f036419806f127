"""Training of a layout-conditioned latent diffusion model."""
from typing import Any, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mmdistill.generation import LayoutUNetGenerator
from mmdistill.generation.unets import LayoutUNet
from mmdistill.masks import IGNORE
from mmdistill.plan import Request
from mmdistill.registry import MODELS
from mmdistill.settings import Share, validated
from .class_balance import ClassBalance
from .latent_diffusion import LatentDiffusion


@MODELS.register_module()
class LayoutDiffusion(LatentDiffusion):
    r"""Denoising training of :class:`LayoutUNet`; the condition is the label map.

    The loss is :class:`LatentDiffusion`'s with :math:`w_p \propto \mathrm{freq}(class_p)^{-\gamma}`: a latent cell's
    weight is the mean of its pixels' (:class:`~mmdistill.models.class_balance.ClassBalance`).

    Args:
        vae: See :class:`LatentDiffusion`.
        unet: Arguments of :class:`LayoutUNet` but for ``latent_channels``.
        class_balance: γ in [0, 1] of the weights by class.
        layout_drop: Share of the samples trained without their map.
        kwargs: ``cache_latents``, ``num_sampling_steps`` and ``data_preprocessor`` of :class:`LatentDiffusion`.
    """
    network = LayoutUNet

    @validated
    def __init__(self, vae: str, unet: dict, class_balance: Share = 0.5, layout_drop: Share = 0.1, **kwargs: Any
                 ) -> None:
        super().__init__(vae, unet, layout_drop, **kwargs)
        self.balance = ClassBalance(self.unet.config.num_classes, class_balance)

    def condition(self, data_samples: Sequence[Any]) -> Tensor:
        """Label maps (B, H, W)."""
        return torch.stack([sample.gt_sem_seg.data[0] for sample in data_samples]).long()

    def null(self, condition: Tensor) -> Tensor:
        """Maps without labels."""
        return torch.full_like(condition, IGNORE)

    def weights(self, condition: Tensor, size: Tuple[int, int]) -> Tensor:
        """(B, 1, h, w)."""
        if self.training:
            self.balance.update(condition)
        return F.adaptive_avg_pool2d(self.balance(condition), size)

    def sample(self, data_samples: Sequence[Any], requests: Sequence[Request], size: Tuple[int, int]) -> Tensor:
        """See :meth:`LatentDiffusion.sample`."""
        masks = [mask.byte().cpu().numpy() for mask in self.condition(data_samples)]
        generator = LayoutUNetGenerator(self.vae, self.unet, self.scheduler, image_size=size,
                                        num_steps=self.num_sampling_steps)
        return generator.sample_images(requests, masks)
