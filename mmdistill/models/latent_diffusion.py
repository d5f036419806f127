"""What the trainings of latent diffusion models share."""
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from mmengine.model import BaseModel
from torch import Tensor

from mmdistill.generation.autoencoders import encode, load_vae, save_vae
from mmdistill.plan import Request
from mmdistill.settings import PositiveInt, check_settings, validated


class LatentDiffusion(BaseModel):
    r"""Denoising training in the latent space of a frozen autoencoder.

    .. math:: L = \mathrm{mean}_p\, w_p \| v_\theta(z_t, t, c)_p - v_p \|^2

    with v-prediction (Salimans & Ho 2022, eq. 10) and the condition c replaced by the null condition for a part of the
    samples (classifier-free guidance, Ho & Salimans 2021). Sub-classes name the network and say what c and w are.

    Args:
        vae: diffusers folder or hub id of the autoencoder (itself or its sub-folder ``vae``).
        unet: Arguments of the network but for ``latent_channels``.
        drop: Share of the samples trained without their condition.
        cache_latents: Encode each image once (twice, where the pipeline flips), in bfloat16, and keep its latents in
            memory. The pipeline must not crop or distort at random then.
        num_sampling_steps: Denoising steps of the sample grids.
        data_preprocessor: Brings images to RGB in [-1, 1].
    """
    network: Any

    @validated
    def __init__(self, vae: str, unet: dict, drop: float, /, cache_latents: bool = False,
                 num_sampling_steps: PositiveInt = 20, data_preprocessor: Optional[dict] = None) -> None:
        check_settings(self.network, unet, f'{type(self).__name__}: unet', ('latent_channels', ))
        super().__init__(data_preprocessor=data_preprocessor)
        # Hidden from the state dict and from the averaged copy: frozen, and stored in the folder it came from.
        self._frozen = [load_vae(vae).eval().requires_grad_(False)]
        self.scheduler = DDPMScheduler(beta_schedule='squaredcos_cap_v2', prediction_type='v_prediction',
                                       clip_sample=False)
        self.drop = drop
        self.num_sampling_steps = num_sampling_steps
        self._cache: Optional[Dict[Tuple[str, bool], Tensor]] = {} if cache_latents else None
        self.unet = self.network(latent_channels=self._frozen[0].config.latent_channels, **unet)

    @property
    def vae(self):
        """The frozen autoencoder, on the model's device."""
        return self._frozen[0].to(next(self.unet.parameters()).device)

    def condition(self, data_samples: Sequence[Any]) -> Tensor:
        """(B, ...) int64: what the samples are conditioned on."""
        raise NotImplementedError

    def null(self, condition: Tensor) -> Tensor:
        """The null condition in the same shape."""
        raise NotImplementedError

    def weights(self, condition: Tensor, size: Tuple[int, int]) -> Union[float, Tensor]:
        """w of the latent's cells: broadcast to (B, C, h, w)."""
        return 1.0

    @torch.no_grad()
    def _latents(self, inputs: Tensor, data_samples) -> Tensor:
        if self._cache is None:
            return encode(self.vae, inputs)
        # Once for the whole training, and most of a small one's time: channels last and bfloat16 are three times as
        # fast on a CPU, and their error is far below the noise that is added.
        vae = self.vae.to(memory_format=torch.channels_last)
        keys = [(sample.img_path, bool(sample.get('flip'))) for sample in data_samples]
        missing = [i for i, key in enumerate(keys) if key not in self._cache]
        if missing:
            with torch.autocast(inputs.device.type, torch.bfloat16):
                fresh = encode(vae, inputs[missing].contiguous(memory_format=torch.channels_last))
            self._cache.update(zip((keys[i] for i in missing), fresh.float().contiguous().cpu()))
        return torch.stack([self._cache[key] for key in keys]).to(inputs.device)

    def forward(self, inputs: Tensor, data_samples=None, mode: str = 'tensor') -> Union[Dict, List[dict]]:
        """Images (B, 3, H, W) in [-1, 1] with their labels → ``'loss'``, or ``'predict'``: loss of each sample.

        Prediction uses evenly spread timesteps and fixed noise, so that its loss can be compared between trainings.
        """
        condition = self.condition(data_samples).to(inputs.device)
        latents = self._latents(inputs, data_samples)
        batch, steps = len(latents), self.scheduler.config.num_train_timesteps
        given = condition
        if mode == 'predict':
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            t = ((torch.arange(batch, device=latents.device) + 0.5) * steps / batch).long()
        else:
            noise, t = torch.randn_like(latents), torch.randint(steps, (batch, ), device=latents.device)
            dropped = torch.rand(batch, device=latents.device) < self.drop
            given = torch.where(dropped.view(-1, *[1] * (condition.ndim - 1)), self.null(condition), condition)
        noisy = self.scheduler.add_noise(latents, noise, t)
        target = self.scheduler.get_velocity(latents, noise, t)
        output = self.unet(noisy, t, given).sample
        weights = self.weights(condition, (latents.shape[2], latents.shape[3]))
        loss = (weights * (output - target).square()).mean((1, 2, 3))
        if mode == 'predict':
            return [dict(loss=float(value)) for value in loss]
        return dict(loss_diffusion=loss.mean())

    def sample(self, data_samples: Sequence[Any], requests: Sequence[Request], size: Tuple[int, int]) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] of the same conditions as the samples, by the generator of this network."""
        raise NotImplementedError

    @torch.no_grad()
    def sample_images(self, data: dict) -> Tensor:
        """Rows of real and sampled images of the same conditions (2B, 3, H, W) in [-1, 1], for the sample grid."""
        data = self.data_preprocessor(data)
        inputs, samples = data['inputs'], data['data_samples']
        requests = [Request(id=str(n), seed=n) for n in range(len(inputs))]
        sampled = self.sample(samples, requests, tuple(inputs.shape[-2:]))
        return torch.stack([inputs, sampled.to(inputs)], 1).flatten(0, 1)

    def export(self, folder: str) -> None:
        """Write ``folder/{unet,vae,scheduler}`` in diffusers' layout, fp16 safetensors."""
        path = Path(folder)
        unet = type(self.unet).from_config(self.unet.config)
        unet.load_state_dict(self.unet.state_dict())
        unet.half().save_pretrained(path / 'unet')
        self.scheduler.save_pretrained(path / 'scheduler')
        vae = type(self.vae).from_config(self.vae.config)
        vae.load_state_dict(self.vae.state_dict())
        save_vae(vae, path)
