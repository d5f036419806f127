"""Reads the masks of any mmseg dataset, for selection and generation."""
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.masks import paint_mask, resize_mask
from mmdistill.plan import Request
from mmdistill.selection import class_histograms
from mmdistill.tasks.base import Source, repeated_name
from .histograms import shared_histograms
from .listing import no_images, without_suffix
from .mask_checks import SAMPLE, check_pairs, palette_of, unlabelled
from .mask_reading import MaskReader, missing
from .reading import ImageReader


class DatasetMasks(Source):
    """Masks of one or several (wrapped) mmseg datasets, decoded as for training and checked when they are read.

    Attributes:
        images, masks: Paths of the N samples.
        palette: RGB colour of each class.

    Raises:
        DistillError: The dataset is empty, has no masks, repeats a class name, or has an invalid palette.
    """

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        if twice := repeated_name(self.classes):  # selection, prompts and metrics identify classes by name
            raise DistillError(f'{type(self.parts[0]).__name__}: {twice}: give each its own name in metainfo.classes; '
                               'to make them one class, save the masks with one id for both')
        self.palette = palette_of(self.dataset.metainfo, type(self.parts[0]).__name__)
        for part in self.parts:
            if not len(part):
                raise DistillError(f'{type(part).__name__}: {no_images(part)}')
            if not (path := part.get_data_info(0).get('seg_map_path')):
                raise DistillError(f'{type(part).__name__} has no masks: give data_prefix a seg_map_path')
            if path.endswith(part.seg_map_suffix) and (text := without_suffix(part, 'seg_map_path', 'seg_map_suffix')):
                raise DistillError(f'{type(part).__name__}: {text}')
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        self.images: List[str] = [info['img_path'] for info in infos]
        self.masks: List[str] = [info['seg_map_path'] for info in infos]
        self._row = {path: row for row, path in reversed(list(enumerate(self.masks)))}
        self._image_readers = [ImageReader.of_dataset(part) for part in self.parts]
        self._mask_readers = [MaskReader(part, images) for part, images in zip(self.parts, self._image_readers)]

    @property
    def files(self) -> List[str]:
        return [*self.images, *self.masks]

    def inputs(self, requests: Sequence[Request], size: Tuple[int, int]) -> Dict[str, Any]:
        """The masks of the requests, resized to the generator's ``size`` (H, W) by nearest neighbour."""
        return dict(masks=[resize_mask(self.mask(str(request.mask)), size) for request in requests])

    def annotation(self, inputs: Mapping[str, Any], row: int) -> Dict[str, Any]:
        """The mask of an image."""
        return dict(mask=inputs['masks'][row])

    def preview(self, image: np.ndarray, inputs: Mapping[str, Any], row: int) -> np.ndarray:
        """Coloured mask, image and overlay side by side, uint8 (H, 3 W, 3); unlabelled pixels are black."""
        layer = paint_mask(inputs['masks'][row], self.palette)
        overlay = (image.astype(np.uint16) + layer) // 2
        return np.concatenate([layer, image, overlay.astype(np.uint8)], 1)

    def mask(self, path: str) -> np.ndarray:
        """Mask uint8 (H, W), ids 0..K-1 and 255, for a path in :attr:`masks`."""
        if path not in self._row:
            raise missing(path, 'mask')
        return self._mask(self._row[path])

    def checked_mask(self, index: int) -> np.ndarray:
        """The mask of sample ``index``; raises a DistillError unless its image exists and has the same size."""
        image, path, mask = self.images[index], self.masks[index], self._mask(index)
        height, width = self.photo_size(index)
        if (height, width) != mask.shape:
            raise DistillError(f'{path} is {mask.shape[1]}x{mask.shape[0]} but its image {image} is {width}x{height}: '
                               'give both the same size or remove them')
        return mask

    def photo_size(self, index: int) -> Tuple[int, int]:
        """Height and width of the image of sample ``index``."""
        return self._image_readers[self.rows[index][0]].size(self.images[index], self.dataset.get_data_info(index))

    def pair(self, index: int, size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
        """Image and mask of sample ``index``, resized to ``size`` (H, W) without keeping the aspect ratio.

        Returns:
            Image uint8 (H, W, 3), RGB, resized by area, and mask uint8 (H, W), resized by nearest neighbour.
        """
        read = self._image_readers[self.rows[index][0]]
        image = Image.fromarray(read(self.images[index], self.dataset.get_data_info(index)))
        return np.asarray(image.resize(size[::-1], Image.Resampling.BOX)), resize_mask(self._mask(index), size)

    def _mask(self, index: int) -> np.ndarray:
        return self._mask_readers[self.rows[index][0]](self.dataset.get_data_info(index))

    def check_files(self) -> None:
        """Raise a DistillError if a mask, or an image that an ann_file lists, is missing."""
        for number, part in enumerate(self.parts):
            rows = [row for row, (one, _) in enumerate(self.rows) if one == number]
            check_pairs(part, [self.images[row] for row in rows], [self.masks[row] for row in rows], *(
                getattr(reader[number].transform, 'backend_args', None)
                for reader in (self._image_readers, self._mask_readers)))

    def reading(self) -> Dict[str, Any]:
        return self._image_readers[0].public()

    def fingerprint(self) -> str:
        """Hash of the files and of the settings that decode their ids."""
        return config_hash([self._part_fingerprint(number) for number in range(len(self.parts))])

    def _part_fingerprint(self, number: int) -> List[str]:
        part, rows = self.parts[number], [row for row, (part, _) in enumerate(self.rows) if part == number]
        root = str(part.data_root or '')
        return [self._image_readers[number].fingerprint([self.images[row] for row in rows], root=root),
                self._mask_readers[number].fingerprint([self.masks[row] for row in rows], self.classes,
                                                       part.reduce_zero_label, part.ignore_index, part.label_map,
                                                       root=root)]

    def histograms(self, cache=None, workers=None, progress=None) -> np.ndarray:
        """Pixels of each class in each mask, int64 (N, K).

        Args:
            cache: File for the result (:func:`~mmdistill.datasets.histograms.shared_histograms`); None: not saved.
            workers, progress: See :func:`~mmdistill.selection.class_histograms`.

        Raises:
            DistillError: A mask cannot be read, or no mask has a labelled pixel.
        """
        shape = len(self), len(self.classes)
        if cache:
            counts = shared_histograms(self.checked_mask, shape, Path(cache), self.fingerprint(), workers, progress)
        else:
            counts = class_histograms(range(shape[0]), self.checked_mask, shape[1], workers=workers, progress=progress)
        if not counts.any():
            part, _ = self.rows[0]
            raise unlabelled(self.parts[part], (self._mask_readers[part].ids(self.dataset.get_data_info(row))
                                                for row in range(min(SAMPLE, len(self)))))
        return counts
