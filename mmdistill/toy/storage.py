"""MMEngine storage backends that draw the built-in scenes and pictures when they are read.

Stock ``LoadImageFromFile`` and ``LoadAnnotations`` can therefore read ``streets://`` and ``objects://`` like files.
"""
from functools import lru_cache

import cv2
import numpy as np
from mmengine.fileio import BaseStorageBackend, register_backend

from .object_pictures import CLASSES, object_picture
from .street_scenes import street_scene


@lru_cache(maxsize=16384)
def _scene_files(split: str, size: int, index: int):
    """PNG bytes of a scene's image and mask, cached; about 10 KB at 64 pixels."""
    image, mask = street_scene(index, split, size)
    return tuple(cv2.imencode('.png', np.ascontiguousarray(a))[1].tobytes() for a in (image[..., ::-1], mask))


@register_backend('streets', prefixes='streets', force=True)
class StreetScenesBackend(BaseStorageBackend):
    """Read-only storage of ``streets://SPLIT/SIZE/{images,masks}/INDEX.png``."""

    def get(self, filepath) -> bytes:
        """The bytes of a file; raises :class:`FileNotFoundError` for an invalid path."""
        try:
            split, size, folder, name = str(filepath).split('://')[1].split('/')
            files = _scene_files(split, int(size), int(name.removesuffix('.png')))
            return files[('images', 'masks').index(folder)]
        except (ValueError, IndexError, KeyError):
            raise FileNotFoundError(f'no such street scene: {filepath}') from None

    def get_text(self, filepath, encoding: str = 'utf-8') -> str:
        """Not supported: the files are binary."""
        raise FileNotFoundError(f'{filepath} is not text')


@lru_cache(maxsize=16384)
def _picture_file(split: str, size: int, index: int) -> bytes:
    """PNG bytes of a picture, cached; about 9 KB at 64 pixels."""
    return cv2.imencode('.png', np.ascontiguousarray(object_picture(index, split, size)[0][..., ::-1]))[1].tobytes()


@register_backend('objects', prefixes='objects', force=True)
class ObjectPicturesBackend(BaseStorageBackend):
    """Read-only storage of ``objects://SPLIT/SIZE/CLASS/INDEX.png``."""

    def get(self, filepath) -> bytes:
        """The bytes of a file; raises :class:`FileNotFoundError` for an invalid path."""
        try:
            split, size, name, file = str(filepath).split('://')[1].split('/')
            index = int(file.removesuffix('.png'))
            if index >= 0 and CLASSES[index % len(CLASSES)] == name:
                return _picture_file(split, int(size), index)
        except (ValueError, IndexError, KeyError):
            pass
        raise FileNotFoundError(f'no such object picture: {filepath}')

    def get_text(self, filepath, encoding: str = 'utf-8') -> str:
        """Not supported: the files are binary."""
        raise FileNotFoundError(f'{filepath} is not text')
