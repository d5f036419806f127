"""Image transforms that are not in OpenMMLab."""
from typing import Dict, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmdistill.registry import TRANSFORMS
from mmdistill.settings import PositiveInt, validated


@TRANSFORMS.register_module()
class ShufflePatches(BaseTransform):
    """Shuffle the ``factor`` columns of an image, then its ``factor`` rows (RDED, arXiv 2312.03526).

    RDED's images are collages of ``factor`` x ``factor`` crops; shuffling gives each crop new neighbours. Patches of
    one column (or row) stay together. If the size is not a multiple of ``factor``, the last column (row) is larger.

    Required and modified key: ``img``, (H, W, ...).

    Args:
        factor: Number of columns and of rows.

    Example:
        >>> ShufflePatches(factor=2).transform(dict(img=np.zeros((64, 48, 3), np.uint8)))['img'].shape
        (64, 48, 3)
    """

    @validated
    def __init__(self, factor: PositiveInt = 2) -> None:
        self.factor = factor

    @cache_randomness
    def _orders(self) -> Tuple[np.ndarray, np.ndarray]:
        return np.random.permutation(self.factor), np.random.permutation(self.factor)

    def transform(self, results: Dict) -> Dict:
        """Shuffle ``results['img']``."""
        image = results['img']
        for axis, order in zip((1, 0), self._orders()):
            size = image.shape[axis] // self.factor
            strips = np.split(image, [size * i for i in range(1, self.factor)], axis)
            image = np.concatenate([strips[i] for i in order], axis)
        results['img'] = image
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(factor={self.factor})'
