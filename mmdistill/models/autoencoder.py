"""Training of the autoencoder in whose latent space a generator works."""
from typing import Dict, List, Optional, Union

import torch
from diffusers import AutoencoderTiny
from mmengine.model import BaseModel
from torch import Tensor

from mmdistill.registry import MODELS


@MODELS.register_module()
class AutoencoderTrainer(BaseModel):
    r"""Reconstruction training of diffusers' ``AutoencoderTiny``.

    .. math:: L = |\hat x - x| + \lambda (\hat x - x)^2

    averaged over pixels; plain reconstruction, because a small decoder's sharpness is what limits a small generator.

    Args:
        autoencoder: Arguments of ``AutoencoderTiny``.
        mse_weight: λ.
        data_preprocessor: MMEngine's ``ImgDataPreprocessor`` that brings images to RGB in [-1, 1].
    """

    def __init__(self, autoencoder: dict, mse_weight: float = 2.0, data_preprocessor: Optional[dict] = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.autoencoder = AutoencoderTiny(**autoencoder).to(memory_format=torch.channels_last)
        self.mse_weight = mse_weight
        self.register_buffer('latent_std', torch.ones(()))

    def forward(self, inputs: Tensor, data_samples=None, mode: str = 'tensor') -> Union[Tensor, Dict, List[dict]]:
        """Images (B, 3, H, W) in [-1, 1] → losses (``'loss'``), ``pred_img``/``gt_img`` pairs or reconstructions."""
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        latents = self.autoencoder.encode(inputs).latents
        output = self.autoencoder.decode(latents).sample
        if mode == 'loss':
            self.latent_std.lerp_(latents.detach().std(), 0.01)
            error = output - inputs
            return dict(loss_l1=error.abs().mean(), loss_mse=self.mse_weight * error.square().mean())
        if mode == 'predict':
            return [dict(pred_img=p, gt_img=x) for p, x in zip(output.clamp(-1, 1), inputs)]
        return output

    @torch.no_grad()
    def sample_images(self, data: dict) -> Tensor:
        """Rows of originals and reconstructions (2B, 3, H, W) in [-1, 1], for the sample grid."""
        inputs = self.data_preprocessor(data)['inputs']
        return torch.stack([inputs, self(inputs).clamp(-1, 1)], 1).flatten(0, 1)

    def export(self, folder: str) -> None:
        """Write ``folder/vae`` in diffusers' layout, latents scaled to unit variance, fp16 safetensors."""
        vae = AutoencoderTiny.from_config(self.autoencoder.config, scaling_factor=round(1 / float(self.latent_std), 4))
        vae.load_state_dict(self.autoencoder.state_dict())
        vae.half().save_pretrained(f'{folder}/vae')
