"""Decodes the segmentations of COCO's annotations."""
from typing import Any

import numpy as np

MOST_PIXELS = 65535  # maximum height and width of an image, those of a JPEG


def decode_region(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Decode COCO's polygons or (compressed) run lengths to bool (height, width).

    Raises:
        ValueError: The run lengths have another size, or a polygon has a point far outside of the image.
    """
    from pycocotools import mask as coco
    if isinstance(segmentation, list):  # pycocotools does not check the range
        polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
        if not polygons:
            return np.zeros((height, width), bool)
        if not all(abs(value) <= MOST_PIXELS for polygon in polygons for value in polygon):
            raise ValueError(f'a polygon has values beyond {MOST_PIXELS}')
        runs = coco.merge(coco.frPyObjects(polygons, height, width))
    else:
        runs = segmentation
        if list(runs['size']) != [height, width]:
            raise ValueError(f'its size is {runs["size"]}, the image\'s {[height, width]}')
        if isinstance(runs['counts'], list):
            runs = coco.frPyObjects(runs, height, width)
    return coco.decode(runs).view(bool)
