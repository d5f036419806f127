"""Training of the autoencoder of a latent diffusion model."""
from pathlib import Path
from typing import Dict, List, Optional, Union

import torch
from diffusers.models import AutoencoderTiny
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from torch import Tensor

from mmdistill.generation.autoencoders import save_vae
from mmdistill.registry import MODELS
from mmdistill.settings import NonNegative, check_settings, validated
from .class_balance import ClassBalance
from .samples import masks_of


@MODELS.register_module()
class AutoencoderTrainer(BaseModel):
    r"""Reconstruction training of diffusers' ``AutoencoderTiny``.

    .. math:: L = \mathrm{mean}_p\, w_p (|\hat x_p - x_p| + \lambda (\hat x_p - x_p)^2)

    The loss is plain reconstruction, since the sharpness of the decoder limits a small generator. With w = 1, small
    objects are neglected: traffic signs of a few pixels lose their colour although the PSNR is high.

    Args:
        autoencoder: Arguments of ``AutoencoderTiny``.
        mse_weight: λ >= 0.
        class_balance: Arguments of :class:`~mmdistill.models.class_balance.ClassBalance`, which gives the weights w;
            the samples then need masks. None: w = 1.
        data_preprocessor: Config of MMEngine's ``ImgDataPreprocessor``, which must convert images to RGB in [-1, 1].

    Example:
        >>> model = dict(type='AutoencoderTrainer', class_balance=dict(num_classes=11, gamma=0.5),
        ...              autoencoder=dict(latent_channels=4))
    """
    latent_std: Tensor

    @validated
    def __init__(self, autoencoder: dict, mse_weight: NonNegative = 2.0, class_balance: Optional[dict] = None,
                 data_preprocessor: Optional[dict] = None) -> None:
        check_settings(AutoencoderTiny, autoencoder, 'AutoencoderTrainer: autoencoder')
        if class_balance:
            check_settings(ClassBalance, class_balance, 'AutoencoderTrainer: class_balance')
        super().__init__(data_preprocessor=data_preprocessor)
        self.autoencoder = AutoencoderTiny(**autoencoder).to(memory_format=torch.channels_last)
        self.mse_weight = mse_weight
        self.balance = ClassBalance(**class_balance) if class_balance else None
        self.register_buffer('latent_std', torch.ones(()))

    def forward(self, inputs: Tensor, data_samples=None, mode: str = 'tensor') -> Union[Tensor, Dict, List[dict]]:
        """Reconstruct images (B, 3, H, W) in [-1, 1].

        Returns:
            Mode ``'loss'``: dict of losses; ``'predict'``: list of dicts with ``pred_img`` and ``gt_img``;
            ``'tensor'``: the reconstructions (B, 3, H, W).

        Raises:
            DistillError: With ``class_balance``, a mask has channels or an unknown id.
        """
        masks = None
        if mode == 'loss' and self.balance is not None:
            masks = masks_of(data_samples, len(self.balance.frequency), 'model.class_balance.num_classes')
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        latents = self.autoencoder.encode(inputs).latents
        output = self.autoencoder.decode(latents).sample.float()
        if mode == 'loss':
            all_reduce(std := latents.detach().float().std(), 'mean')
            self.latent_std.lerp_(std, 0.01)
            error, weights = output - inputs, 1.0
            if self.balance is not None and masks is not None:
                self.balance.update(masks := masks.to(error.device))
                weights = self.balance(masks)
            return dict(loss_l1=(weights * error.abs()).mean(),
                        loss_mse=self.mse_weight * (weights * error.square()).mean())
        if mode == 'predict':
            return [dict(pred_img=p, gt_img=x) for p, x in zip(output.clamp(-1, 1), inputs)]
        return output

    @torch.no_grad()
    def sample_images(self, data: dict) -> Tensor:
        """Originals and reconstructions, alternating, (2B, 3, H, W) in [-1, 1], for the sample grid."""
        inputs = self.data_preprocessor(data)['inputs']
        return torch.stack([inputs, self(inputs).clamp(-1, 1)], 1).flatten(0, 1)

    def export(self, folder: str) -> None:
        """Write ``folder/vae`` in diffusers' layout as fp16 safetensors, scaled to latents of unit variance."""
        vae = AutoencoderTiny.from_config(self.autoencoder.config, scaling_factor=round(1 / float(self.latent_std), 4))
        vae.load_state_dict(self.autoencoder.state_dict())
        save_vae(vae, Path(folder))
