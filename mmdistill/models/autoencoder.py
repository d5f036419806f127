"""Training of the autoencoder of a latent diffusion model."""
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import torch
from diffusers.models import AutoencoderTiny
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from torch import Tensor

from mmdistill.errors import DistillError
from mmdistill.generation.autoencoders import decode, encode, save_vae, vae_factor
from mmdistill.registry import MODELS
from mmdistill.settings import NonNegative, check_settings, validated
from .class_balance import ClassBalance
from .feature_loss import FeatureLoss
from .frozen import frozen_autoencoder
from .samples import masks_of


class Reconstruction(BaseModel):
    r"""Base class of trainings that reconstruct images with an autoencoder of diffusers.

    .. math:: L = \mathrm{mean}_p\, w_p (|\hat x_p - x_p| + \lambda (\hat x_p - x_p)^2) + L_{features}

    Args:
        autoencoder: The autoencoder; parameters without gradients are not trained.
        mse_weight: λ >= 0.
        class_balance: Arguments of :class:`~mmdistill.models.class_balance.ClassBalance`, which gives the weights w;
            the samples then need masks. None: w = 1.
        feature_loss: Arguments of :class:`~mmdistill.models.feature_loss.FeatureLoss`; None: no such loss.
        data_preprocessor: Config of MMEngine's ``ImgDataPreprocessor``, which must convert images to RGB in [-1, 1].
    """

    @validated
    def __init__(self, autoencoder: Any, /, mse_weight: NonNegative = 2.0, class_balance: Optional[dict] = None,
                 feature_loss: Optional[dict] = None, data_preprocessor: Optional[dict] = None) -> None:
        for name, settings, cls in (('class_balance', class_balance, ClassBalance),
                                    ('feature_loss', feature_loss, FeatureLoss)):
            if settings:
                check_settings(cls, settings, f'{type(self).__name__}: {name}')
        super().__init__(data_preprocessor=data_preprocessor)
        self.autoencoder = autoencoder.to(memory_format=torch.channels_last)
        self.mse_weight = mse_weight
        self.balance = ClassBalance(**class_balance) if class_balance else None
        self.feature_loss = FeatureLoss(**feature_loss) if feature_loss else None

    def forward(self, inputs: Tensor, data_samples=None, mode: str = 'tensor') -> Union[Tensor, Dict, List[dict]]:
        """Reconstruct images (B, 3, H, W) in [-1, 1].

        Returns:
            Mode ``'loss'``: dict of losses; ``'predict'``: list of dicts with ``pred_img`` and ``gt_img``;
            ``'tensor'``: the reconstructions (B, 3, H, W).

        Raises:
            DistillError: The sides of the images are no multiples of the autoencoder's factor. With ``class_balance``,
                a mask is missing, has channels or an unknown id.
        """
        factor, (height, width) = vae_factor(self.autoencoder), inputs.shape[-2:]
        if height % factor or width % factor:
            raise DistillError(f'images of {height}x{width} pixels (height x width) do not fit this autoencoder: '
                               f'resize or crop them to multiples of {factor} in the pipeline of the dataset')
        masks = None
        if mode == 'loss' and self.balance is not None:
            masks = masks_of(data_samples, len(self.balance.frequency), 'model.class_balance.num_classes')
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        latents = encode(self.autoencoder, inputs)
        output = decode(self.autoencoder, latents).float()
        if mode == 'loss':
            self.measure(latents.detach())
            error, weights = output - inputs, 1.0
            if self.balance is not None and masks is not None:
                self.balance.update(masks := masks.to(error.device))
                weights = self.balance(masks)
            losses = dict(loss_l1=(weights * error.abs()).mean(),
                          loss_mse=self.mse_weight * (weights * error.square()).mean())
            return losses if self.feature_loss is None else dict(
                losses, loss_features=self.feature_loss(output, inputs))
        if mode == 'predict':
            return [dict(pred_img=p, gt_img=x) for p, x in zip(output.clamp(-1, 1), inputs)]
        return output

    @torch.no_grad()
    def sample_images(self, data: dict) -> Tensor:
        """Originals and reconstructions, alternating, (2B, 3, H, W) in [-1, 1], for the sample grid."""
        inputs = self.data_preprocessor(data)['inputs']
        return torch.stack([inputs, self(inputs).clamp(-1, 1)], 1).flatten(0, 1)

    def export(self, folder: str) -> None:
        """Write ``folder/vae`` in diffusers' layout as fp16 safetensors."""
        vae = type(self.autoencoder).from_config(self.autoencoder.config, **self.changes())
        vae.load_state_dict(self.autoencoder.state_dict())
        save_vae(vae, Path(folder))

    def measure(self, latents: Tensor) -> None:
        """Gather statistics of the scaled latents (B, C, h, w) of a training batch."""

    def changes(self) -> Dict[str, Any]:
        """Values of the exported config that differ from those of ``autoencoder``."""
        return {}


@MODELS.register_module()
class AutoencoderTrainer(Reconstruction):
    """Training of diffusers' ``AutoencoderTiny`` from scratch; exported with latents of unit variance.

    The loss (:class:`~mmdistill.models.autoencoder.Reconstruction`) is by default plain reconstruction, since the
    sharpness of the decoder limits a small generator. Without class weights, small objects are neglected: traffic signs
    of a few pixels lose their colour although the PSNR is high.

    Args:
        autoencoder: Arguments of ``AutoencoderTiny``.
        settings: ``mse_weight``, ``class_balance``, ``feature_loss`` and ``data_preprocessor``; see
            :class:`~mmdistill.models.autoencoder.Reconstruction`.

    Example:
        >>> model = dict(type='AutoencoderTrainer', class_balance=dict(num_classes=11, gamma=0.5),
        ...              autoencoder=dict(latent_channels=4))
    """
    latent_std: Tensor

    @validated
    def __init__(self, autoencoder: dict, **settings: Any) -> None:
        check_settings(AutoencoderTiny, autoencoder, 'AutoencoderTrainer: autoencoder')
        super().__init__(AutoencoderTiny(**autoencoder), **settings)
        self.register_buffer('latent_std', torch.ones(()))

    def measure(self, latents: Tensor) -> None:
        all_reduce(std := latents.float().std(), 'mean')
        self.latent_std.lerp_(std, 0.01)

    def changes(self) -> Dict[str, Any]:
        return dict(scaling_factor=round(1 / float(self.latent_std), 4))


@MODELS.register_module()
class DecoderTrainer(Reconstruction):
    """Fine-tuning of an autoencoder's decoder. The encoder is frozen, so generators of its latents remain valid.

    Args:
        vae: diffusers folder or hub id with the autoencoder, in the folder itself or in its sub-folder ``vae``.
        settings: ``mse_weight``, ``class_balance``, ``feature_loss`` and ``data_preprocessor``; see
            :class:`~mmdistill.models.autoencoder.Reconstruction`.

    Example:
        >>> model = dict(type='DecoderTrainer', vae='madebyollin/taesd', feature_loss=dict(
        ...     backbone=dict(type='mmdistill.EfficientNetLite0'), mean=[127] * 3, std=[128] * 3))
    """

    @validated
    def __init__(self, vae: str, **settings: Any) -> None:
        super().__init__(frozen_autoencoder(vae), **settings)
        for part in ('decoder', 'post_quant_conv'):  # the latter only in AutoencoderKL
            if (module := getattr(self.autoencoder, part, None)) is not None:
                module.requires_grad_(True)
