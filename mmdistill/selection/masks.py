"""Decodes, checks and counts label masks."""
import io
import struct
import zlib
from typing import Any, Mapping, Optional

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DistillError, one_line
from ..masks import IGNORE, train_ids

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
_ALL_BITS = (-1, 2**16 - 1, 2**32 - 1)  # 255 in 8 bits


def read_mask(data: bytes, name: str, **encoding: Any) -> np.ndarray:
    """Decode a mask file to train ids uint8 (H, W), 0..K-1 and 255 for ignored pixels.

    Args:
        data: Content of the file; see :func:`decode_mask`.
        name: Name of the mask in messages, such as its path.
        **encoding: See :class:`MaskIds`.

    Raises:
        DistillError: The mask has colours, the file is damaged, or an id is out of range.
    """
    return MaskIds(**encoding)(decode_mask(data, name), name)


class MaskIds:
    """Converts the ids in mask files to train ids.

    Args:
        num_classes: Number of classes K, 1..255.
        reduce_zero_label, label_map: See :func:`~mmdistill.masks.train_ids`; -1 in the map is 255.
        ignore_index: The train id, 0..255, that is ignored in training; it becomes 255.

    Raises:
        DistillError: A value is out of range.
    """

    def __init__(self, num_classes: int, reduce_zero_label: bool = False,
                 label_map: Optional[Mapping[int, int]] = None, ignore_index: int = IGNORE) -> None:
        if not 1 <= num_classes <= IGNORE:
            raise DistillError(f'{num_classes} classes: 8-bit masks hold 1 to {IGNORE} classes')
        if not 0 <= ignore_index <= IGNORE:
            raise DistillError(f'ignore_index {ignore_index} is out of range: use 0..{IGNORE}')
        for old_id, new_id in (label_map or {}).items():
            if not -1 <= new_id <= IGNORE:
                raise DistillError(f'label_map sends id {old_id} to {new_id}: use 0..{num_classes - 1}, or {IGNORE} to '
                                   'ignore it')
        self.num_classes, self.reduce_zero_label = num_classes, bool(reduce_zero_label)
        self._table = train_ids(reduce_zero_label, label_map).astype(np.uint8)
        self._table[self._table == ignore_index] = IGNORE
        self._valid = (self._table < num_classes) | (self._table == IGNORE)

    def __call__(self, raw: np.ndarray, name: str) -> np.ndarray:
        """Convert ids to train ids.

        Args:
            raw: (H, W), ids from a file, of any integer type; 65535 is treated as 255.
            name: Name of the mask in messages.

        Returns:
            uint8 (H, W), 0..K-1 and 255.

        Raises:
            DistillError: The array has another shape, or an id is out of range.
        """
        ids = _eight_bits(raw, name)
        counts = np.bincount(ids.ravel(), minlength=256)
        wrong = np.flatnonzero(~self._valid & (counts > 0))
        if len(wrong):
            raise DistillError(f'{name}: id {wrong[0]} in {counts[wrong[0]]} pixels is out of range: '
                               f'{_ranges(self._valid)} are valid for {self.num_classes} classes '
                               f'(reduce_zero_label={self.reduce_zero_label}): correct the mask or the list of classes')
        return self._table[ids]


def decode_mask(data: bytes, name: str) -> np.ndarray:
    """Decode a mask file with Pillow: PNG, TIFF, BMP, GIF and others with one channel of 1 to 32 bits.

    Args:
        data: Content of the file.
        name: Name of the mask in messages.

    Returns:
        (H, W), the values. For a palette image, these are the palette indices.

    Raises:
        DistillError: The mask has colours, is a JPEG, or the file is damaged.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format in ('JPEG', 'MPO'):
                raise DistillError(f'{name}: JPEG compression changes the ids of a mask: create it again as PNG')
            if len(image.getbands()) > 1:
                raise DistillError(f'{name}: a {image.mode} mask contains colours, not class ids: save it as a '
                                   'grey or palette PNG whose values are the class ids')
            return np.array(image)
    except DistillError:
        raise
    except _BROKEN as error:
        reason = 'unknown format' if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise DistillError(f'{name} is not a readable mask ({reason}): copy or create it again') from None


def mask_histogram(mask: np.ndarray, num_classes: int, name: str = 'mask') -> np.ndarray:
    """Count the pixels of each class in a mask.

    Args:
        mask: uint8 (H, W), train ids 0..K-1 and 255 for ignored pixels.
        num_classes: Number of classes K.
        name: Name of the mask in messages.

    Returns:
        int64 (K,).

    Raises:
        DistillError: The mask is not a uint8 (H, W) array, or has an id out of range.

    Example:
        >>> mask_histogram(np.array([[0, 0, 1, 255]], np.uint8), num_classes=3)
        array([2, 1, 0])
    """
    if getattr(mask, 'dtype', None) != np.uint8 or mask.ndim != 2:
        raise DistillError(f'{name}: a mask has to be a uint8 array of shape (H, W), '
                           f'not {getattr(mask, "dtype", type(mask).__name__)} {np.shape(mask)}')
    counts = np.bincount(mask.ravel(), minlength=256)
    wrong = np.flatnonzero(counts[num_classes:IGNORE])
    if len(wrong):
        raise DistillError(f'{name}: train id {num_classes + wrong[0]} is out of range: 0..{num_classes - 1} and '
                           f'{IGNORE} (ignored) are valid')
    return counts[:num_classes]


def _eight_bits(raw: np.ndarray, name: str) -> np.ndarray:
    """Convert the values of a mask file to uint8 (H, W); raises a DistillError if they do not fit."""
    raw = raw[..., 0] if raw.ndim == 3 and raw.shape[2] == 1 else raw
    if raw.ndim != 2:
        raise DistillError(f'{name}: a mask of shape {raw.shape} is not a label map: save it as a grey or palette '
                           'PNG whose values are the class ids')
    if raw.dtype in (np.uint8, np.bool_):
        return raw.astype(np.uint8)
    with np.errstate(invalid='ignore'):
        values = raw.astype(np.int64)
    ids = values.astype(np.uint8)
    wrong = (values != raw) | ((values != ids) & ~np.isin(values, _ALL_BITS))
    if wrong.any():
        raise DistillError(f'{name}: id {raw[wrong].min()} in {wrong.sum()} pixels does not fit into 8 bits: trainings '
                           f'read ids of 0..{IGNORE}; change the ids of the mask')
    return ids


def _ranges(valid: np.ndarray) -> str:
    """Text such as '0..18, 255' for a boolean array of valid ids."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], valid.astype(np.int8), [0]))))
    runs = ((first, last - 1) for first, last in zip(edges[::2], edges[1::2]))
    return ', '.join(str(a) if a == b else f'{a}..{b}' for a, b in runs)
