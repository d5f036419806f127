"""Latents of the real images of each class, from the generator's autoencoder."""
import shutil
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch

from mmdistill.batches import read_batches
from mmdistill.cache import VARIABLE, Part, in_parts, rows_of, shared_entry
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.weights.hub import frozen_digest

_PART = 1024  # images per cache file: 32 MB of Stable Diffusion's bfloat16 latents at 512 pixels


class RealLatents:
    """Reads and encodes the images of a run's real dataset.

    With a shared cache (:mod:`mmdistill.cache`), latents are saved there in files of 1024 images per class. Missing and
    damaged files are encoded again, so an interrupted run loses at most one file. The key of a file only depends on the
    images of its class, so that datasets with common classes share them.

    Args:
        run: The distillation run, a :class:`~mmdistill.engine.loop.DistillLoop`.
        crop: True: images are scaled to cover the generator's size and cropped at the centre. False: they are resized
            without keeping the aspect ratio.
        batch_size: Images per forward pass of the autoencoder.

    Attributes:
        key: Hash of everything but the image file that affects a latent; computed on first access.
    """

    def __init__(self, run: Any, crop: bool, batch_size: int) -> None:
        self.run, self.crop, self.batch_size = run, crop, batch_size

    @cached_property
    def key(self) -> str:
        generator = self.run.generator
        return config_hash([frozen_digest(generator.vae), list(generator.image_size), str(generator.dtype),
                            generator.device.type, self.crop, self.batch_size])

    def of(self, images: Mapping[int, np.ndarray], keep: bool = True) -> Iterator[Tuple[int, np.ndarray]]:
        """Yield (class id, latents float32 (B, C, h, w)), in order.

        A batch contains a single class, so latents do not depend on the other classes of the rank.

        Args:
            images: Class id → indices of its images.
            keep: Whether to use the shared cache. Set it if ``images`` contains all images of its classes;
                other runs can then reuse the latents.
        """
        parts: List[Part] = []
        for label, indices in images.items():
            parts += in_parts(indices, self.batch_size, _PART, partial(self._file, label) if keep else lambda _: None)
        self._announce(parts)
        for part, latents in rows_of(parts, self._prepare):
            yield int(self.run.source.labels[part.batches[0][0]]), latents

    def _file(self, label: int, start: int) -> Optional[Path]:
        return shared_entry('latents', self.key, self.run.source.class_fingerprints[label], f'{start}.safetensors')

    def _announce(self, parts: Sequence[Part]) -> None:
        """Log how many latents are read from the cache, encoded and saved; check the disk space."""
        generator, logger = self.run.generator, self.run.logger
        count, total = (sum(len(batch) for part in some for batch in part.batches)
                        for some in ([part for part in parts if part.missing], parts))
        size = count * int(np.prod(generator.latent_shape)) * (2 if generator.dtype is torch.bfloat16 else 4)
        if count < total:
            logger.info(f'Latents of {total - count} of {total} real images are read from the cache')
        if not count:
            return
        if parts[0].file is None:
            hint = f'; to keep them for other runs ({size / 1e9:.0f} GB) set {VARIABLE}=FOLDER' if size > 1e9 else ''
            logger.info(f'Encoding {count} real images{hint}')
            return
        folder = parts[0].file.parents[1]
        free = shutil.disk_usage(folder.parents[1]).free
        if size > free:
            raise DistillError(f'{VARIABLE}: the latents of {count} real images take {size / 1e9:.1f} GB, and '
                               f'{free / 1e9:.1f} GB are free there: name a folder on another disk, or unset it')
        logger.info(f'Encoding {count} real images; the latents are kept in {folder} ({size / 1e9:.1f} GB)')

    def _prepare(self, batches: List[np.ndarray]) -> Iterator[Callable[[], np.ndarray]]:
        """Read batches of images with the run's worker processes, and yield functions that encode them."""
        read = partial(_read_batch, self.run.source, self.run.generator.image_size, self.crop)
        for images in read_batches(read, batches, self.run.num_workers):
            yield partial(self.encode, images)

    def encode(self, batch: List[np.ndarray]) -> np.ndarray:
        """Encode images, uint8 (H, W, 3) of the generator's size, to latents (B, C, h, w) float32.

        On a GPU, a smaller batch is padded with repeats, so that kernels are selected for a single shape.
        """
        generator = self.run.generator
        padding = 0 if generator.device.type == 'cpu' else self.batch_size - len(batch)
        pixels = torch.from_numpy(np.stack(batch + batch[-1:] * padding)).to(generator.device)
        return generator.encode(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)[:len(batch)].cpu().numpy()


def _read_batch(source: Any, size: Tuple[int, int], crop: bool, indices: Sequence[int]) -> List[np.ndarray]:
    return [source.image(int(index), size, crop) for index in indices]
