"""Checks of a whole segmentation dataset: missing masks, and masks without any labelled pixel."""
import os.path as osp
from typing import Any, Iterable, Optional, Sequence, Set, Tuple

import numpy as np

from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE
from .listing import absent, check_files
from .mask_reading import missing

SAMPLE = 200  # masks to inspect for the message if none has a labelled pixel


def check_pairs(dataset: Any, images: Sequence[str], masks: Sequence[str], image_args: Optional[dict],
                mask_args: Optional[dict]) -> None:
    """Check that all local masks, and the local images in an ``ann_file``, exist, by listing their folders.

    Args:
        dataset: A built mmseg ``BaseSegDataset``.
        images, masks: Paths of its files.
        image_args, mask_args: ``backend_args`` of the transforms that read them.

    Raises:
        DistillError: A file is missing.
    """
    check_files(dataset, images, 'image', image_args)
    for path in absent(masks, mask_args)[:1]:
        image, folder = images[list(masks).index(path)], dataset.data_prefix.get('seg_map_path') or '.'
        if not osp.isdir(folder):
            raise DistillError(f'no mask at {path}, and no folder {folder}: set data_prefix.seg_map_path')
        if image in {*masks}:
            raise DistillError(
                f'no mask at {path}: {image}, a mask, is read as an image, since masks ending in '
                f'{dataset.seg_map_suffix} are among the files ending in {dataset.img_suffix}: put the masks into a '
                'separate folder (data_prefix.seg_map_path), or list the images in an ann_file')
        raise missing(path, 'mask')


def palette_of(metainfo: Any, where: str) -> Tuple[Tuple[int, int, int], ...]:
    """The colours of ``metainfo.palette``; raises a DistillError if it is not one RGB colour per class."""
    try:
        colours = np.asarray(metainfo['palette'])
        if colours.shape != (len(metainfo['classes']), 3) or (colours != colours.astype(np.uint8)).any():
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise DistillError(f'{where}: metainfo.palette has to be a colour (R, G, B), 0..255, for each class: correct '
                           'it, or leave it out') from None
    return tuple((int(r), int(g), int(b)) for r, g, b in colours)


def unlabelled(dataset: Any, files: Iterable[np.ndarray]) -> DistillError:
    """The error for a dataset without a labelled pixel: the ids in the files, why they are ignored, what to change.

    Args:
        dataset: A built mmseg ``BaseSegDataset``.
        files: The raw ids in some mask files.
    """
    ids: Set[int] = set()
    for values in files:
        ids.update(np.unique(values).tolist())
    reduced, reasons, advice = bool(dataset.reduce_zero_label), [], []
    if not {IGNORE, 65535}.isdisjoint(ids):
        reasons.append('255 is always unlabelled')
        advice.append(f'save the pixels of classes with their ids, {int(reduced)}, ..., instead of 255')
    if reduced and 0 in ids:
        reasons.append('reduce_zero_label=True makes 0 unlabelled')
        advice.append('set reduce_zero_label=False if 0 is a class')
    trains = sorted(value - reduced for value in ids)
    if left_out := [train for train in trains if (dataset.label_map or {}).get(train) in (IGNORE, -1)]:
        reasons.append('metainfo.classes does not contain the other classes')
        advice.append(f'add some of them{_example(dataset, left_out[0])}')
    elif dataset.ignore_index != IGNORE and dataset.ignore_index in trains:
        reasons.append(f'ignore_index={dataset.ignore_index} makes that class unlabelled')
        advice.append('set ignore_index=255')
    shown = ', '.join(map(str, sorted(ids)[:12])) + (', …' if len(ids) > 12 else '')
    return DistillError(f'no mask of {type(dataset).__name__} has a labelled pixel: the files contain the ids {shown}; '
                        f'{", ".join(reasons)}: {", and ".join(advice)}')


def _example(dataset: Any, train: int) -> str:
    names = type(dataset).METAINFO.get('classes') or ()
    return f', such as {names[train]!r}' if train < len(names) else ''
