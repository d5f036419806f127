"""The built-in object pictures as a data set that every stock pipeline of the host reads.

The pictures are drawn when they are read: ``objects://`` is a storage backend of MMEngine, so that stock
``LoadImageFromFile`` works on them as on files.
"""
from functools import lru_cache
from typing import List

import cv2
import numpy as np
from mmengine.fileio import BaseStorageBackend, register_backend
from mmpretrain.datasets import BaseDataset

from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from .object_pictures import CLASSES, object_picture
from .street_scenes import SPLITS


@lru_cache(maxsize=16384)
def _picture_file(split: str, size: int, index: int) -> bytes:
    """PNG bytes of a picture; drawn once, about 9 KB at 64 pixels."""
    return cv2.imencode('.png', np.ascontiguousarray(object_picture(index, split, size)[0][..., ::-1]))[1].tobytes()


@register_backend('objects', prefixes='objects', force=True)
class ObjectPicturesBackend(BaseStorageBackend):
    """Read-only storage of ``objects://SPLIT/SIZE/CLASS/INDEX.png``."""

    def get(self, filepath) -> bytes:
        """The bytes of a file; an address that names no picture raises :class:`FileNotFoundError`."""
        try:
            split, size, name, file = str(filepath).split('://')[1].split('/')
            index = int(file.removesuffix('.png'))
            if index >= 0 and CLASSES[index % len(CLASSES)] == name:
                return _picture_file(split, int(size), index)
        except (ValueError, IndexError, KeyError):
            pass
        raise FileNotFoundError(f'no such object picture: {filepath}')

    def get_text(self, filepath, encoding: str = 'utf-8') -> str:
        """There is no text here."""
        raise FileNotFoundError(f'{filepath} is not text')


@DATASETS.register_module()
class ObjectPictures(BaseDataset):
    """Procedural pictures of 10 classes of things, five modes in each; no download.

    Args:
        num_images: How many; classes take turns, and picture ``i`` is the same for any number.
        split: ``'train'``, ``'val'`` or ``'test'``; splits share no picture.
        size: Side of the square images in pixels.
        **kwargs: As for mmpretrain's ``BaseDataset`` (``pipeline``, ``metainfo``, ...).

    Raises:
        DistillError: An unknown split, fewer images than classes, or a side under 32.
    """
    METAINFO = dict(classes=CLASSES)

    def __init__(self, num_images: int = 2000, split: str = 'train', size: int = 64, **kwargs) -> None:
        if split not in SPLITS:
            raise DistillError(f'ObjectPictures has no split {split!r}: use one of {", ".join(SPLITS)}')
        if num_images < len(CLASSES) or size < 32:
            raise DistillError(f'ObjectPictures needs num_images >= {len(CLASSES)} and size >= 32, not {num_images} '
                               f'and {size}')
        self.num_images, self.split, self.size = num_images, split, size
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry a picture, in the host's format."""
        root, number = f'objects://{self.split}/{self.size}', len(CLASSES)
        return [dict(img_path=f'{root}/{CLASSES[i % number]}/{i:06d}.png', gt_label=i % number)
                for i in range(self.num_images)]
