"""Training of latent diffusion models, conditioned on the class or on the mask."""
from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn import functional as F

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator, LayoutUNetGenerator
from mmdistill.generation.autoencoders import encode, save_vae, vae_factor
from mmdistill.generation.unets import ClassUNet, LayoutUNet
from mmdistill.known_classes import KnownClasses
from mmdistill.masks import IGNORE
from mmdistill.plan import Request
from mmdistill.registry import MODELS
from mmdistill.settings import PositiveInt, Share, check_settings, validated
from .class_balance import ClassBalance
from .frozen import frozen_autoencoder
from .samples import masks_of


class LatentDiffusion(BaseModel):
    r"""Denoising training in the latent space of a frozen autoencoder.

    .. math:: L = \mathrm{mean}_p\, w_p \| v_\theta(z_t, t, c)_p - v_p \|^2

    with v-prediction (Salimans & Ho 2022, eq. 10). For a share of the samples, the condition c is replaced by the null
    condition (classifier-free guidance, Ho & Salimans 2021). Subclasses define the network, its generator, c and w.

    Args:
        vae: diffusers folder or hub id with the autoencoder, in the folder itself or in its sub-folder ``vae``.
        unet: Arguments of the network except ``latent_channels``.
        drop: Share of the samples trained without their condition, 0..1.
        cache_latents: Whether to encode each image once (twice if the pipeline flips), in bfloat16, and keep its
            latents in memory. The pipeline must have no other random transforms then.
        num_sampling_steps: Denoising steps of the sample grids.
        data_preprocessor: Config of the preprocessor, which must convert images to RGB in [-1, 1].
    """
    network: Any
    generator: Any  # class of the generator that samples with the network
    null: int  # id of the null condition
    reads_annotations = True  # the condition of every sample is its class or its mask

    @validated
    def __init__(self, vae: str, unet: dict, drop: float, /, cache_latents: bool = False,
                 num_sampling_steps: PositiveInt = 20, data_preprocessor: Optional[dict] = None) -> None:
        check_settings(self.network, unet, f'{type(self).__name__}: unet', ('latent_channels', ))
        super().__init__(data_preprocessor=data_preprocessor)
        self._frozen = [frozen_autoencoder(vae)]  # in a list, so that it is not in the state dict
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
        """The conditions of the samples, int64 (B, ...)."""
        raise NotImplementedError

    def requests(self, condition: Tensor) -> Tuple[List[Request], Optional[List[np.ndarray]]]:
        """One request per condition, numbered from 0, and the masks if the generator needs them."""
        raise NotImplementedError

    def weights(self, condition: Tensor, size: Tuple[int, int]) -> Union[float, Tensor]:
        """Loss weights w of latent pixels, broadcastable to (B, C, h, w), for latents of this ``size`` (h, w)."""
        return 1.0

    @torch.no_grad()
    def _latents(self, inputs: Tensor, data_samples) -> Tensor:
        if self._cache is None:
            return encode(self.vae, inputs)
        # Encoding dominates the time of a small training. Channels last and bfloat16 are three times as fast on a CPU,
        # and their error is far below the added noise.
        vae = self.vae.to(memory_format=torch.channels_last)
        keys = [(sample.img_path, bool(sample.get('flip'))) for sample in data_samples]
        missing = [i for i, key in enumerate(keys) if key not in self._cache]
        if missing:
            with torch.autocast(inputs.device.type, torch.bfloat16):
                fresh = encode(vae, inputs[missing].contiguous(memory_format=torch.channels_last))
            self._cache.update(zip((keys[i] for i in missing), fresh.float().contiguous().cpu()))
        return torch.stack([self._cache[key] for key in keys]).to(inputs.device)

    def forward(self, inputs: Tensor, data_samples=None, mode: str = 'tensor') -> Union[Dict, List[dict]]:
        """Compute the denoising loss for images (B, 3, H, W) in [-1, 1].

        Mode ``'predict'`` uses evenly spaced timesteps and fixed noise, so that its losses are comparable between
        trainings.

        Returns:
            Mode ``'loss'``: dict with the mean loss; ``'predict'``: list of dicts with the ``loss`` of each sample.
        """
        condition = self.condition(data_samples).to(inputs.device)
        latents = self._latents(inputs, data_samples)
        batch, steps = len(latents), self.scheduler.config.num_train_timesteps
        network_condition = condition
        if mode == 'predict':
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            t = ((torch.arange(batch, device=latents.device) + 0.5) * steps / batch).long()
        else:
            noise, t = torch.randn_like(latents), torch.randint(steps, (batch, ), device=latents.device)
            dropped = torch.rand(batch, device=latents.device) < self.drop
            network_condition = torch.where(dropped.view(-1, *[1] * (condition.ndim - 1)), self.null, condition)
        noisy = self.scheduler.add_noise(latents, noise, t)
        target = self.scheduler.get_velocity(latents, noise, t)
        output = self.unet(noisy, t, network_condition).sample
        weights = self.weights(condition, (latents.shape[2], latents.shape[3]))
        loss = (weights * (output - target).square()).mean((1, 2, 3))
        if mode == 'predict':
            return [dict(loss=float(value)) for value in loss]
        return dict(loss_diffusion=loss.mean())

    @torch.no_grad()
    def sample_images(self, data: dict) -> Tensor:
        """Real and sampled images of the same conditions, alternating, (2B, 3, H, W) in [-1, 1], for sample grids."""
        data = self.data_preprocessor(data)
        inputs, condition = data['inputs'], self.condition(data['data_samples'])
        generator = self.generator(self.vae, self.unet, self.scheduler, image_size=tuple(inputs.shape[-2:]),
                                   num_steps=self.num_sampling_steps)
        sampled = generator.sample_images(*self.requests(condition))
        return torch.stack([inputs, sampled.to(inputs)], 1).flatten(0, 1)

    def take_classes(self, classes: Sequence[str]) -> None:
        """Store the dataset's class names in the network's config, for the export.

        Raises:
            DistillError: The network has another number of classes.
        """
        count = self.unet.config.num_classes
        KnownClasses(count).check(classes, 'model.unet.num_classes: the network',
                                  f'set it to {len(classes)}')
        self.unet.register_to_config(classes=[*map(str, classes)])

    def export(self, folder: str) -> None:
        """Write ``folder/{unet,vae,scheduler}`` in diffusers' layout, as fp16 safetensors."""
        path = Path(folder)
        deepcopy(self.unet).half().save_pretrained(path / 'unet')
        self.scheduler.save_pretrained(path / 'scheduler')
        save_vae(deepcopy(self.vae), path)


@MODELS.register_module()
class ClassDiffusion(LatentDiffusion):
    """Denoising training of :class:`ClassUNet` on any classification dataset; the condition is the class, w = 1.

    Args:
        unet: Arguments of :class:`ClassUNet` except ``latent_channels``.
        class_drop: Share of the samples trained without their class, 0..1.
        vae, kwargs: See :class:`LatentDiffusion`.

    Example:
        >>> model = dict(type='ClassDiffusion', vae='work_dirs/autoencoder_objects-64px/export',
        ...              unet=dict(num_classes=10, sample_size=16))
    """
    network, generator = ClassUNet, ClassConditionalGenerator

    @validated
    def __init__(self, vae: str, unet: dict, class_drop: Share = 0.1, **kwargs: Any) -> None:
        super().__init__(vae, unet, class_drop, **kwargs)
        self.null = self.unet.config.num_classes  # the id after the last class

    def condition(self, data_samples: Sequence[Any]) -> Tensor:
        """Class ids (B,); raises a DistillError if the network lacks a class."""
        labels = torch.stack([sample.gt_label[0] for sample in data_samples]).long()
        wrong = labels[(labels < 0) | (labels >= self.null)].tolist()
        if wrong:
            raise DistillError(f'class id {wrong[0]} in the dataset, but model.unet.num_classes is {self.null}: set it '
                               'to the number of classes; ids begin with 0')
        return labels

    def requests(self, condition: Tensor) -> Tuple[List[Request], None]:
        """Requests for the classes."""
        return [Request(str(n), n, classes=(label, )) for n, label in enumerate(condition.tolist())], None


@MODELS.register_module()
class LayoutDiffusion(LatentDiffusion):
    r"""Denoising training of :class:`LayoutUNet` on any segmentation dataset; the condition is the mask.

    The weight w of a latent pixel is the mean over its image pixels
    (:class:`~mmdistill.models.class_balance.ClassBalance`).

    Args:
        unet: Arguments of :class:`LayoutUNet` except ``latent_channels``.
        class_balance: γ in [0, 1] of the weights.
        layout_drop: Share of the samples trained without their mask, 0..1.
        vae, kwargs: See :class:`LatentDiffusion`.

    Example:
        >>> model = dict(type='LayoutDiffusion', vae='work_dirs/autoencoder_streets-64x64/export',
        ...              unet=dict(num_classes=11, layout_factor=4))
    """
    network, generator, null = LayoutUNet, LayoutUNetGenerator, IGNORE

    @validated
    def __init__(self, vae: str, unet: dict, class_balance: Share = 0.5, layout_drop: Share = 0.1, **kwargs: Any
                 ) -> None:
        super().__init__(vae, unet, layout_drop, **kwargs)
        if self.unet.config.layout_factor != (factor := vae_factor(self.vae)):
            raise DistillError(f'model.unet.layout_factor={self.unet.config.layout_factor}, but the latents of {vae} '
                               f'are {factor} times smaller than its images: set it to {factor}')
        self.balance = ClassBalance(self.unet.config.num_classes, class_balance)

    def condition(self, data_samples: Sequence[Any]) -> Tensor:
        """Masks (B, H, W); raises a DistillError if a mask has channels, or an id that the network does not know."""
        return masks_of(data_samples, self.unet.config.num_classes, 'model.unet.num_classes')

    def weights(self, condition: Tensor, size: Tuple[int, int]) -> Tensor:
        """Loss weights (B, 1, h, w); in training mode, the class frequencies are updated first."""
        if self.training:
            self.balance.update(condition)
        return F.adaptive_avg_pool2d(self.balance(condition), size)

    def requests(self, condition: Tensor) -> Tuple[List[Request], List[np.ndarray]]:
        """Requests, and the masks uint8 (H, W)."""
        return [Request(str(n), n) for n in range(len(condition))], list(condition.byte().cpu().numpy())
