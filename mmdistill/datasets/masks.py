"""Reading the masks of any mmseg dataset for selection and synthesis."""
import io
import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from mmengine.fileio import get as read_file
from mmengine.fileio import get_file_backend
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.files import config_hash, uris_fingerprint
from mmdistill.masks import paint_mask, resize_mask
from mmdistill.plan import Request
from mmdistill.selection import class_histograms, read_mask
from mmdistill.tasks.base import Source
from .histograms import shared_histograms


class DatasetMasks(Source):
    """The masks of an mmseg ``BaseSegDataset``, or of several behind wrappers, as training would see them, each checked
    when it is read."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        self.palette = tuple((int(r), int(g), int(b)) for r, g, b in self.dataset.metainfo['palette'])
        for part in self.parts:
            if not len(part):
                raise DistillError(f'{type(part).__name__} finds no image under {part.data_prefix.get("img_path")} '
                                   f'ending in {part.img_suffix}: check data_root, data_prefix and img_suffix')
            if 'seg_map_path' not in part.get_data_info(0):
                raise DistillError(f'{type(part).__name__} has no masks: give data_prefix a seg_map_path')
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        self.images: List[str] = [info['img_path'] for info in infos]
        self.masks: List[str] = [info['seg_map_path'] for info in infos]
        self.encodings = [dict(reduce_zero_label=part.reduce_zero_label, ignore_index=part.ignore_index,
                               label_map=part.label_map) for part in self.parts]
        self._part = dict(zip(self.masks, (number for number, _ in self.rows)))

    def inputs(self, requests: Sequence[Request], size: Tuple[int, int]) -> Dict[str, Any]:
        """The masks of the requests at the generator's size, by nearest neighbour."""
        return dict(masks=[resize_mask(self.mask(str(request.mask)), size) for request in requests])

    def annotation(self, inputs: Mapping[str, Any], row: int) -> Dict[str, Any]:
        """The mask of an image."""
        return dict(mask=inputs['masks'][row])

    def preview(self, image: np.ndarray, inputs: Mapping[str, Any], row: int) -> np.ndarray:
        """Mask in its colours, image, and overlay side by side; unlabelled pixels are black."""
        layer = paint_mask(inputs['masks'][row], self.palette)
        overlay = (image.astype(np.uint16) + layer) // 2
        return np.concatenate([layer, image, overlay.astype(np.uint8)], 1)

    def mask(self, path: str) -> np.ndarray:
        """Mask uint8 (H, W), ids 0..K-1 and 255, of a path in :attr:`masks`."""
        encoding = self.encodings[self._part.get(path, 0)]
        return read_mask(self._bytes(path, 'mask'), path, num_classes=len(self.classes), **encoding)

    def checked_mask(self, index: int) -> np.ndarray:
        """The mask of sample ``index``, after its image was found to be there and of the same size."""
        image, path = self.images[index], self.masks[index]
        mask = self.mask(path)
        try:
            width, height = Image.open(io.BytesIO(self._bytes(image, 'image'))).size
        except (OSError, SyntaxError) as error:
            raise DistillError(f'{image} is not a readable image ({error}): replace or remove it') from None
        if (height, width) != mask.shape:
            raise DistillError(f'{path} is {mask.shape[1]}x{mask.shape[0]} but its image {image} is {width}x{height}: '
                               'give both the same size or remove them')
        return mask

    def pair(self, index: int, size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
        """Sample ``index`` squashed to ``size`` (H, W): image uint8 RGB by area, mask uint8 by nearest neighbour."""
        image = Image.open(io.BytesIO(self._bytes(self.images[index], 'image'))).convert('RGB')
        image = image.resize(size[::-1], Image.Resampling.BOX)
        return np.asarray(image), resize_mask(self.mask(self.masks[index]), size)

    def fingerprint(self) -> str:
        """Changes when a file or the reading of the ids does."""
        found = [self._part_fingerprint(number) for number in range(len(self.parts))]
        return found[0] if len(found) == 1 else config_hash(found)

    def _part_fingerprint(self, number: int) -> str:
        rows = [row for row, (part, _) in enumerate(self.rows) if part == number]
        images, masks = [self.images[row] for row in rows], [self.masks[row] for row in rows]
        files = [file for path in masks for file in _sources(path)]
        for path in files:
            if '://' not in path and not osp.isfile(path):
                raise _missing(path, 'mask')
        uris = [] if files == masks else masks
        return uris_fingerprint([*images, *dict.fromkeys(files)], self.classes, *self.encodings[number].values(), *uris,
                                root=str(self.parts[number].data_root or ''))

    def histograms(self, cache=None, workers=None, progress=None) -> np.ndarray:
        """Class histograms int64 (N, K) of all masks; see :func:`~mmdistill.selection.class_histograms` and, with a
        file ``cache``, :func:`~mmdistill.datasets.histograms.shared_histograms`."""
        shape = len(self), len(self.classes)
        if cache:
            return shared_histograms(self.checked_mask, shape, Path(cache), self.fingerprint(), workers, progress)
        return class_histograms(range(shape[0]), self.checked_mask, shape[1], workers=workers, progress=progress)

    def _bytes(self, path: str, what: str) -> bytes:
        try:
            return read_file(path)
        except (FileNotFoundError, NotADirectoryError):
            raise _missing(path, what) from None


def _sources(path: str) -> List[str]:
    """The files behind a path or URI: those that its storage backend names, or itself."""
    backend: Any = get_file_backend(path, enable_singleton=True) if '://' in path else None
    return backend.sources(path) if hasattr(backend, 'sources') else [path]


def _missing(path: str, what: str) -> DistillError:
    return DistillError(f'no {what} at {path}: each image needs its mask; add it, remove its partner, or check '
                        'data_prefix and the suffixes')
