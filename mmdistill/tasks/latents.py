"""Latents of the real images by the generator's autoencoder, class by class."""
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch.utils.data import DataLoader

from mmdistill.cache import VARIABLE, Part, in_parts, rows_of, shared_entry
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.weights.hub import network_digest

_PART = 1024  # images in a file of the cache: 32 MB of Stable Diffusion's bfloat16 latents at 512 pixels


class RealLatents:
    """Reads and encodes the images of a run's real dataset.

    With a shared cache (:mod:`mmdistill.cache`) the latents are kept there, a file for each thousand images of a class:
    what is there is read, what is damaged or missing is encoded, so that an interrupted run loses one file at most.
    They are keyed by the images of their class alone: classes that several datasets take from one tree are shared.

    Args:
        run: A distillation run.
        crop: Whether images are scaled to cover the generator's size and cropped at the centre, or squashed to it.
        batch_size: Images that the autoencoder sees at once.

    Attributes:
        key: Hash of all that decides the latents of an image besides its file.
    """

    def __init__(self, run: Any, crop: bool, batch_size: int) -> None:
        generator = run.generator
        self.run, self.crop, self.batch_size = run, crop, batch_size
        self.key = config_hash([network_digest(generator.vae), list(generator.image_size), str(generator.dtype),
                                generator.device.type, crop, batch_size])

    def of(self, images: Mapping[int, np.ndarray], keep: bool = True) -> Iterator[Tuple[int, np.ndarray]]:
        """Class id and (B, C, h, w) float32 latents, in order; no batch has two classes.

        A latent so does not depend on which other classes this rank has.

        Args:
            images: Class id → indices of its images.
            keep: Whether they are all images of their class, so that other runs will want them.
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
        """Say what is read from the cache, what is encoded, and what will be kept."""
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
        """Read batches of images, ahead by the run's worker processes; what is given encodes one of them."""
        images = _Images(self.run.source, self.run.generator.image_size, self.crop)
        loader: DataLoader = DataLoader(images, batch_sampler=batches,  # type: ignore[arg-type]
                                        num_workers=self.run.num_workers, collate_fn=list)
        for batch in loader if batches else ():
            for error in (image for image in batch if isinstance(image, DistillError)):
                raise error
            yield partial(self._encode, batch)

    def _encode(self, batch: List[np.ndarray]) -> np.ndarray:
        """(B, C, h, w) float32. On a GPU a small batch is filled up with repeats: kernels are chosen once for one
        shape."""
        generator = self.run.generator
        empty = 0 if generator.device.type == 'cpu' else self.batch_size - len(batch)
        pixels = torch.from_numpy(np.stack(batch + batch[-1:] * empty)).to(generator.device)
        return generator.encode(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)[:len(batch)].cpu().numpy()


class _Images:
    """The images of a dataset, read when they are asked for; for torch's DataLoader."""

    def __init__(self, source: Any, size: Tuple[int, int], crop: bool) -> None:
        self.source, self.size, self.crop = source, size, crop

    def __getitem__(self, index: int) -> Union[np.ndarray, DistillError]:
        try:
            return self.source.image(int(index), self.size, self.crop)
        except DistillError as error:  # handed over: a worker's exception would come with its traceback as the message
            return error
