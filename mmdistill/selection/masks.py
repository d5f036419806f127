"""Label masks: decoded, checked and counted."""
import io
import struct
import zlib
from typing import Mapping, Optional

import numpy as np
from PIL import Image

from ..errors import DistillError
from ..masks import IGNORE, train_ids

_MODES = ('L', 'P', '1')
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_mask(data: bytes, name: str, *, num_classes: int, reduce_zero_label: bool = False,
              label_map: Optional[Mapping[int, int]] = None, ignore_index: int = IGNORE) -> np.ndarray:
    """Decode a PNG mask into train ids uint8 (H, W), 0..K-1 and 255 for ignored pixels.

    Args:
        data: The bytes of the file: PNG, grey (up to 8 bits) or palette. A palette mask's indices are its ids.
        name: What an error calls the mask, e.g. its path.
        num_classes: Number of classes K, 1..255.
        reduce_zero_label, label_map: See :func:`~mmdistill.masks.train_ids`.
        ignore_index: The train id, 0..255, that the training ignores; it becomes 255.

    Raises:
        DistillError: Not a PNG, a 16-bit or colour mask, a broken file, or an id out of range.
    """
    table = _id_table(num_classes, reduce_zero_label, label_map, ignore_index)
    raw = _decode(data, name)
    counts = np.bincount(raw.ravel(), minlength=256)
    valid = (table < num_classes) | (table == IGNORE)
    wrong = np.flatnonzero(~valid & (counts > 0))
    if len(wrong):
        raise DistillError(f'{name}: id {wrong[0]} in {counts[wrong[0]]} pixels is out of range: '
                           f'{_ranges(valid)} are valid for {num_classes} classes '
                           f'(reduce_zero_label={bool(reduce_zero_label)}): mend the mask or the list of classes')
    return table[raw]


def mask_histogram(mask: np.ndarray, num_classes: int, name: str = 'mask') -> np.ndarray:
    """Pixels int64 (K,) of each class in a mask uint8 (H, W) of train ids 0..K-1, 255 ignored.

    Raises:
        DistillError: Not a uint8 (H, W) array, or an id out of range; the message calls the mask ``name``.
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


def _decode(data: bytes, name: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format != 'PNG':
                raise DistillError(f'{name}: a mask has to be a PNG, this is {image.format}')
            if image.mode not in _MODES:
                kind = '16-bit' if image.mode.startswith('I') else image.mode
                raise DistillError(f'{name}: a {kind} mask cannot be read: save it as an 8-bit grey or palette PNG '
                                   'whose values are the class ids')
            return np.asarray(image).astype(np.uint8)
    except DistillError:
        raise
    except _BROKEN as error:
        reason = ' '.join(str(error).split())
        raise DistillError(f'{name}: not a readable PNG ({reason}): copy or make the mask again') from None


def _id_table(num_classes, reduce_zero_label, label_map, ignore_index) -> np.ndarray:
    """uint8 (256,): the train id of every id that a file can hold."""
    if not 1 <= num_classes <= IGNORE:
        raise DistillError(f'{num_classes} classes: 8-bit masks hold 1 to {IGNORE} classes')
    if not 0 <= ignore_index <= IGNORE:
        raise DistillError(f'ignore_index {ignore_index} is out of range: use 0..{IGNORE}')
    for old_id, new_id in (label_map or {}).items():
        if not 0 <= new_id <= IGNORE:
            raise DistillError(f'label_map sends id {old_id} to {new_id}: use 0..{num_classes - 1}, or {IGNORE} to '
                               'ignore it')
    table = train_ids(reduce_zero_label, label_map)
    table[table == ignore_index] = IGNORE
    return table.astype(np.uint8)


def _ranges(valid: np.ndarray) -> str:
    """'0..18, 255' for a boolean array of ids."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], valid.astype(np.int8), [0]))))
    runs = ((first, last - 1) for first, last in zip(edges[::2], edges[1::2]))
    return ', '.join(str(a) if a == b else f'{a}..{b}' for a, b in runs)
