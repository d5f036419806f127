"""The ids of COCO-Stuff: official ids 1..182, 171 of them in use, and train ids 0..170 in the same order.

All 171 were checked against the names in cocostuff's labels.txt and mmseg's ``COCOStuffDataset``.
"""
import numpy as np

from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE

# Official ids without a pixel: street sign, hat, shoe, eye glasses, plate, mirror, window, desk, door, blender, hair
# brush.
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
OFFICIAL = tuple(i for i in range(1, 183) if i not in UNUSED)  # official id of each train id
FIRST_STUFF = 92  # smaller official ids are things
OTHER = 183  # in the stuff JSON: all pixels of things

_BY_OFFICIAL = np.full(184, -1, np.int16)
_BY_OFFICIAL[list(OFFICIAL)] = np.arange(len(OFFICIAL))
_PIXEL_MAPS = np.full(256, -1, np.int16)  # ids of stuffthingmaps: official ids less one
_PIXEL_MAPS[:182] = _BY_OFFICIAL[1:183]
_PIXEL_MAPS[IGNORE] = IGNORE
_MATRICES = _BY_OFFICIAL.copy()  # ids of the .mat files: official ids
_MATRICES[0] = IGNORE


def train_id(official: int) -> int:
    """Train id 0..170 of an official id 1..182; -1 for an id without a class."""
    return int(_BY_OFFICIAL[official]) if 0 <= official < len(_BY_OFFICIAL) else -1


def from_pixel_map(ids: np.ndarray, name: str) -> np.ndarray:
    """Convert ids of ``stuffthingmaps``, 0..181 and 255, to train ids uint8 of the same shape.

    Args:
        ids: The ids of a file, integers.
        name: The file, for messages.

    Raises:
        DistillError: An id has no class.
    """
    return _look_up(ids, _PIXEL_MAPS, name, "0..181 except 11 unused ones, and 255; are these train ids (form="
                    "'train_ids')?")


def from_matrix(ids: np.ndarray, name: str) -> np.ndarray:
    """Convert ids of the 10k set's .mat files, 0..182, to train ids; see :func:`from_pixel_map`."""
    return _look_up(ids, _MATRICES, name, '0..182 except 11 unused ones')


def _look_up(ids: np.ndarray, table: np.ndarray, name: str, valid: str) -> np.ndarray:
    inside = (ids >= 0) & (ids < len(table))
    found = table[np.where(inside, ids, 0)]
    wrong = ~inside | (found < 0)
    if wrong.any():
        first = ids[wrong].min()
        raise DistillError(f'{name}: id {first} in {int((ids == first).sum())} pixels is not an id of COCO-Stuff: '
                           f'valid are {valid}')
    return found.astype(np.uint8)
