"""The built-in street scenes as a data set that every stock pipeline of the host reads.

The scenes are drawn when they are read: ``streets://`` is a storage backend of MMEngine, so that stock
``LoadImageFromFile`` and ``LoadAnnotations`` work on them as on files.
"""
from functools import lru_cache
from typing import List

import cv2
import numpy as np
from mmengine.fileio import BaseStorageBackend, register_backend
from mmseg.datasets import BaseSegDataset

from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from .street_scenes import CLASSES, PALETTE, SPLITS, street_scene


@lru_cache(maxsize=16384)
def _scene_files(split: str, size: int, index: int):
    """PNG bytes of a scene's image and mask; drawn once, about 10 KB at 64 pixels."""
    image, mask = street_scene(index, split, size)
    return tuple(cv2.imencode('.png', np.ascontiguousarray(a))[1].tobytes() for a in (image[..., ::-1], mask))


@register_backend('streets', prefixes='streets', force=True)
class StreetScenesBackend(BaseStorageBackend):
    """Read-only storage of ``streets://SPLIT/SIZE/{images,masks}/INDEX.png``."""

    def get(self, filepath) -> bytes:
        """The bytes of a file; an address that names no scene raises :class:`FileNotFoundError`."""
        try:
            split, size, kind, name = str(filepath).split('://')[1].split('/')
            files = _scene_files(split, int(size), int(name.removesuffix('.png')))
            return files[('images', 'masks').index(kind)]
        except (ValueError, IndexError, KeyError):
            raise FileNotFoundError(f'no such street scene: {filepath}') from None

    def get_text(self, filepath, encoding: str = 'utf-8') -> str:
        """There is no text here."""
        raise FileNotFoundError(f'{filepath} is not text')


@DATASETS.register_module()
class StreetScenes(BaseSegDataset):
    """Procedural 11-class street scenes with exact masks and a long tail; no download.

    Args:
        num_scenes: How many; scene ``i`` is the same for any number.
        split: ``'train'``, ``'val'`` or ``'test'``; splits share no scene.
        size: Side of the square images in pixels.
        **kwargs: As for mmseg's ``BaseSegDataset`` (``pipeline``, ...).

    Raises:
        DistillError: An unknown split, no scene, or a side under 32.
    """
    METAINFO = dict(classes=CLASSES, palette=[list(c) for c in PALETTE])

    def __init__(self, num_scenes: int = 2000, split: str = 'train', size: int = 64, **kwargs) -> None:
        if split not in SPLITS:
            raise DistillError(f'StreetScenes has no split {split!r}: use one of {", ".join(SPLITS)}')
        if num_scenes < 1 or size < 32:
            raise DistillError(f'StreetScenes needs num_scenes >= 1 and size >= 32, not {num_scenes} and {size}')
        self.num_scenes, self.split, self.size = num_scenes, split, size
        super().__init__(img_suffix='.png', **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry a scene, in the host's format."""
        root = f'streets://{self.split}/{self.size}'
        return [
            dict(
                img_path=f'{root}/images/{i:06d}.png',
                seg_map_path=f'{root}/masks/{i:06d}.png',
                label_map=self.label_map,
                reduce_zero_label=self.reduce_zero_label,
                seg_fields=[]) for i in range(self.num_scenes)
        ]
