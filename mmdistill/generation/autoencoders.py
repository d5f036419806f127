"""Conversion between images and scaled latents with a frozen autoencoder."""
import json
from pathlib import Path
from typing import Callable, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from ..errors import DistillError
from ..weights.configs import class_in, read_config
from ..weights.hub import Weights

AUTOENCODERS = ('AutoencoderKL', 'AutoencoderTiny')  # the supported classes of diffusers
SLICE_PIXELS = 4 * 512 * 512  # decoding them in float32 with Stable Diffusion's autoencoder takes about 3 GiB


def load_vae(weights: Union[str, Path, Weights]):
    """Load a frozen autoencoder (KL or Tiny) in float32 from the sub-folder ``vae`` of weights, or from their root."""
    import diffusers
    return Weights.of(weights, ('vae', )).load(tuple(getattr(diffusers, name) for name in AUTOENCODERS), 'vae')


def save_vae(vae, folder: Path) -> None:
    """Write an autoencoder to ``folder/vae`` in diffusers' layout as fp16 safetensors; ``vae`` is cast in place."""
    vae.half().save_pretrained(folder / 'vae')
    if type(vae).__name__ == 'AutoencoderTiny':
        # AutoencoderTiny's saved config has an argument that its constructor rejects, which triggers a warning on load.
        path = folder / 'vae' / 'config.json'
        config = {k: v for k, v in json.loads(path.read_text()).items() if k != 'block_out_channels'}
        path.write_text(json.dumps(config, indent=2) + '\n')


def vae_factor(vae) -> int:
    """Ratio of the image's side to the latents' side."""
    return 2**(len(vae.config.block_out_channels) - 1)


def check_autoencoder(folder: Path) -> None:
    """Raise a DistillError unless a folder, or its sub-folder ``vae``, is that of an autoencoder."""
    name = class_in(read_config(_folder(folder)))
    if name not in AUTOENCODERS:
        raise DistillError(f'{_folder(folder)} holds {name}, not {" or ".join(AUTOENCODERS)}: give the folder of an '
                           'autoencoder, or one with a sub-folder vae')


def _folder(folder: Path) -> Path:
    return folder / 'vae' if (folder / 'vae').is_dir() else folder


def check_same_latents(folder: Path, other: Path, where: str) -> None:
    """Raise a DistillError if the latents of two autoencoders differ in their channels or their size.

    Args:
        folder: Folder of the autoencoder that the denoiser was trained with.
        other: Folder of another autoencoder, or one with a sub-folder ``vae``.
        where: The other autoencoder, for the message.
    """
    kinds = [_kind(folder), _kind(_folder(other))]
    known = [kind for kind in kinds if kind is not None]
    if len(known) == 2 and known[0] != known[1]:
        needed, given = (f'{channels} channels at 1/{factor} of the size of the image' for channels, factor in known)
        raise DistillError(f'{where} has latents of {given}, and the generator needs {needed}: give an autoencoder of '
                           'the same latents, or None')


def _kind(folder: Path) -> Optional[Tuple[int, int]]:
    """Channels of an autoencoder's latents, and its factor, from its config; None if they are not in it."""
    config = read_config(folder)
    levels, channels = config.get('block_out_channels') or config.get('encoder_block_out_channels'), config.get(
        'latent_channels')
    return (channels, 2**(len(levels) - 1)) if isinstance(levels, list) and isinstance(channels, int) else None


def encode(vae, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] → scaled latents (B, C, h, w); for a Gaussian encoder, the mean."""
    out = vae.encode(images)
    latents = out.latent_dist.mode() if hasattr(out, 'latent_dist') else out.latents
    return (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor


def decode(vae, latents: Tensor) -> Tensor:
    """Scaled latents (B, C, h, w) → images (B, 3, H, W), approximately in [-1, 1]."""
    return vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)).sample


def slice_rows(rows: int, size: Sequence[int]) -> int:
    """Number of images per call of the autoencoder.

    Args:
        rows: Number of images.
        size: (H, W) in pixels.

    Returns:
        At most ``rows`` and :data:`SLICE_PIXELS` pixels, but at least 2 images, since CPU kernels round a single row
        differently.
    """
    return min(rows, max(2, SLICE_PIXELS // (size[0] * size[1])))


def in_slices(function: Callable[[Tensor], Tensor], batch: Tensor, rows: int) -> Tensor:
    """Apply ``function`` to slices of a batch with ``rows`` rows; the last slice is padded with repeats.

    Memory does not grow with the batch, and all slices have the same shape. A batch of at most ``rows`` is passed to
    ``function`` unchanged. Do not use it with gradients, whose graph would keep all slices.
    """
    if len(batch) <= rows:
        return function(batch)
    parts = []
    for part in batch.split(rows):
        padded = torch.cat([part, part[-1:].expand(rows - len(part), *part.shape[1:])])
        parts.append(function(padded)[:len(part)])
    return torch.cat(parts)
