"""Reads real masks as mmseg does for training, with ``LoadAnnotations`` from the dataset's pipeline."""
import copy
import io
import os.path as osp
from typing import Any, Dict, Mapping, Sequence

import mmcv
import numpy as np
from mmcv.transforms import LoadAnnotations
from mmengine.fileio import get as read_file
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.selection.masks import MaskIds, decode_mask
from .reading import ImageReader, fingerprint, loading_transforms, local_files, unreadable, with_backend


class MaskReader:
    """Reads the masks of an mmseg dataset as in training, and checks their ids.

    The first ``LoadAnnotations`` of the dataset's pipeline determines how files are read and decoded (default: stock
    ``LoadAnnotations``). A custom transform that decodes differently, for example colours, is run as it is.

    Args:
        dataset: A built mmseg ``BaseSegDataset``.
        images: Reader of its images, for transforms that need the image of a mask.

    Raises:
        DistillError: The transform and the dataset disagree on ``reduce_zero_label``, or the classes or the dataset's
            ``ignore_index`` do not fit into 8 bits.
    """

    def __init__(self, dataset: Any, images: ImageReader) -> None:
        from mmseg.datasets.transforms import LoadAnnotations as Stock
        found = loading_transforms(dataset)
        masks = [one for one in found if isinstance(one, LoadAnnotations)] or [
            one for one in found if type(one) is not type(images.transform)]
        self.images, self.transform = images, with_backend(masks[0] if masks else Stock(), dataset)
        self.stock = isinstance(self.transform, Stock) and all(
            getattr(type(self.transform), name) is getattr(Stock, name) for name in ('transform', '_load_seg_map'))
        reduce = getattr(self.transform, 'reduce_zero_label', None)
        if reduce not in (None, dataset.reduce_zero_label) and isinstance(self.transform, Stock):
            raise DistillError(f'LoadAnnotations(reduce_zero_label={reduce}) of the pipeline and reduce_zero_label='
                               f'{dataset.reduce_zero_label} of the dataset exclude each other in mmseg: set it on the '
                               'dataset alone')
        self._classes, self._ignore = len(dataset.metainfo['classes']), dataset.ignore_index
        self._ids: Dict[Any, MaskIds] = {}
        self._encoding(dict(reduce_zero_label=dataset.reduce_zero_label, label_map=dataset.label_map))

    def __call__(self, info: Mapping[str, Any]) -> np.ndarray:
        """Read the mask of an entry of the dataset.

        Returns:
            uint8 (H, W), ids 0..K-1, and 255 for ignored pixels.

        Raises:
            DistillError: The file is missing or damaged, is not a mask, or has an id out of range.
        """
        return self._encoding(info if self.stock else {})(self.ids(info), info['seg_map_path'])

    def ids(self, info: Mapping[str, Any]) -> np.ndarray:
        """The raw ids in the mask file of an entry, or the output of a custom transform; see :meth:`__call__`."""
        path = info['seg_map_path']
        if self.stock:
            return self._decoded(path)
        try:
            return np.asarray(self._loaded(copy.deepcopy(dict(info))))
        except (FileNotFoundError, NotADirectoryError):
            raise missing(path, 'mask') from None
        except Exception as error:  # a custom transform may raise anything
            raise unreadable(path, 'mask', error) from None

    def fingerprint(self, paths: Sequence[str], *how: Any, root: str = '') -> str:
        """See :func:`~.reading.fingerprint`; raises a DistillError if a local file is missing."""
        for path in paths:
            for file in local_files(path, getattr(self.transform, 'backend_args', None)):
                if not osp.isfile(file):
                    raise missing(file, 'mask')
        return fingerprint(paths, self.transform, *how, root=root)

    def _encoding(self, info: Mapping[str, Any]) -> MaskIds:
        """The conversion of an entry's ids to train ids, cached by encoding."""
        reduce, label_map = info.get('reduce_zero_label', False), info.get('label_map')
        key = reduce, None if label_map is None else tuple(label_map.items())
        if key not in self._ids:
            self._ids[key] = MaskIds(self._classes, reduce, label_map, self._ignore)
        return self._ids[key]

    def _decoded(self, path: str) -> np.ndarray:
        """Decode a file like stock ``LoadAnnotations``."""
        transform = self.transform
        try:
            data = read_file(path, transform.backend_args)
        except (FileNotFoundError, NotADirectoryError):
            raise missing(path, 'mask') from None
        except Exception as error:  # a storage backend may raise anything
            raise unreadable(path, 'mask', error) from None
        if not data:
            raise unreadable(path, 'mask', ValueError('it is empty'))
        if transform.imdecode_backend == 'pillow':
            return decode_mask(data, path)
        try:
            raw = mmcv.imfrombytes(data, 'unchanged', backend=transform.imdecode_backend)
            if raw is None:
                raise ValueError('it is truncated, damaged, or of an unknown format')
        except Exception as error:
            raise unreadable(path, 'mask', error) from None
        if raw.ndim == 3 and raw.shape[2] > 1 and _has_palette(data):
            raise DistillError(f'{path}: imdecode_backend={transform.imdecode_backend!r} reads a palette as colours: '
                               "leave it out of the pipeline's LoadAnnotations")
        return raw

    def _loaded(self, info: Dict[str, Any]) -> Any:
        """The output of a custom transform, which also gets the image if it needs it."""
        transform = copy.copy(self.transform)  # LoadAnnotations stores settings of the first entry it reads
        try:
            return transform(dict(info))['gt_seg_map']
        except KeyError as error:
            if error.args[0] not in ('img', 'img_shape', 'ori_shape', 'height', 'width'):
                raise
            return transform(self.images.transform(info))['gt_seg_map']


def missing(path: str, what: str) -> DistillError:
    """The error for a missing image or mask."""
    return DistillError(f'no {what} at {path}: each image needs its mask; add it, remove its partner, or check '
                        'data_prefix and the suffixes')


def _has_palette(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.mode == 'P'
    except Exception:  # OpenCV reads formats that Pillow does not
        return False
