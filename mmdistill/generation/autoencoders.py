"""Autoencoders between images and scaled latents."""
import json
from pathlib import Path
from typing import Callable, Sequence, Union

import torch
from torch import Tensor

from ..weights.hub import Weights

SLICE_PIXELS = 4 * 512 * 512  # about 3 GiB of a decoding in float32 by Stable Diffusion's autoencoder


def load_vae(weights: Union[str, Path, Weights]):
    """The frozen autoencoder (KL or Tiny), float32, of weights or their address: its ``vae``, or all there is."""
    from diffusers import AutoencoderKL, AutoencoderTiny
    return Weights.of(weights, ('vae', )).load((AutoencoderKL, AutoencoderTiny), 'vae')


def save_vae(vae, folder: Path) -> None:
    """Write an autoencoder into ``folder/vae`` in diffusers' layout, fp16 safetensors; ``vae`` becomes fp16."""
    vae.half().save_pretrained(folder / 'vae')
    if type(vae).__name__ == 'AutoencoderTiny':
        # Its saved config contains an argument that its constructor rejects, which triggers a warning on load.
        path = folder / 'vae' / 'config.json'
        config = {k: v for k, v in json.loads(path.read_text()).items() if k != 'block_out_channels'}
        path.write_text(json.dumps(config, indent=2) + '\n')


def vae_factor(vae) -> int:
    """Side of the image over side of the latents."""
    return 2**(len(vae.config.block_out_channels) - 1)


def encode(vae, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] to scaled latents (B, C, h, w); the mean where the encoder gives a Gaussian."""
    out = vae.encode(images)
    latents = out.latent_dist.mode() if hasattr(out, 'latent_dist') else out.latents
    return (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor


def decode(vae, latents: Tensor) -> Tensor:
    """Scaled latents (B, C, h, w) to images (B, 3, H, W), about [-1, 1]."""
    return vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)).sample


def slice_rows(rows: int, size: Sequence[int]) -> int:
    """How many of ``rows`` images of ``size`` (H, W) an autoencoder sees at once: :data:`SLICE_PIXELS` of them, and at
    least 2, since a CPU's kernels round a single row in another way than several."""
    return min(rows, max(2, SLICE_PIXELS // (size[0] * size[1])))


def in_slices(function: Callable[[Tensor], Tensor], batch: Tensor, rows: int) -> Tensor:
    """``function`` of a batch, ``rows`` at a time, the last slice filled up with repeats.

    The memory then does not grow with the batch, and every slice has one shape. A batch of at most ``rows`` is given
    to ``function`` as it is. Not for gradients, whose graph would keep all slices.
    """
    if len(batch) <= rows:
        return function(batch)
    parts = []
    for part in batch.split(rows):
        filled = torch.cat([part, part[-1:].expand(rows - len(part), *part.shape[1:])])
        parts.append(function(filled)[:len(part)])
    return torch.cat(parts)
