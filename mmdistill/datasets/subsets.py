"""Checks of the ``indices`` of OpenMMLab's datasets: out of range, or meant for another dataset."""
import logging
import os.path as osp
import traceback
from typing import Any, List, Mapping, Optional, Sequence

from mmengine.logging import print_log

from mmdistill.errors import DistillError, counted
from mmdistill.selection.report import shorten
from .listing import no_images
from .manifest import MANIFEST, read_manifest
from .wrapped_configs import part_configs


def bad_indices(error: BaseException, where: str) -> Optional[DistillError]:
    """The error for wrong ``indices``, if a dataset raised ``error`` when it selected its subset.

    Args:
        error: The exception of the dataset.
        where: Key of the dataset in the config.

    Returns:
        The error, or None if the indices were not the reason.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name, found = frame.f_code.co_name, frame.f_locals
        if name in ('_get_unserialized_subset', '_get_serialized_subset') and 'indices' in found:
            return _wrong(found['indices'], found['self'], where)
        if name == '_serialize_data' and getattr(found['self'], '_indices', None) in (0, [], ()):
            return DistillError(f'{where}.indices={found["self"]._indices!r} leaves no image: give some, or leave it '
                                'out')
    # Older versions of MMEngine raise a new error with the dataset's name.
    return bad_indices(error.__context__, where) if error.__context__ else None


def _wrong(indices: Any, dataset: Any, where: str) -> DistillError:
    shown, count = shorten(str(indices)), len(dataset.data_list)
    if not count:
        return DistillError(f'{where}: {no_images(dataset)}')
    outside = _outside(indices, count) if isinstance(indices, (list, tuple)) else []
    if not outside:
        return DistillError(f'{where}.indices={shown} has to be a whole number, or a list of them')
    return DistillError(f'{where}.indices={shown}: {outside[0]} is out of range, since the dataset has '
                        f'{counted(count, "image")}, 0..{count - 1}: correct it, or leave indices out')


def _outside(indices: Sequence[Any], count: int) -> List[int]:
    """The indices that are out of range for ``count`` samples."""
    return [index for index in indices if isinstance(index, int) and not -count <= index < count]


def check_subsets(cfg: Mapping[str, Any], where: str) -> None:
    """Check the ``indices`` of every distilled set in the config of a training set, including wrapped configs.

    When ``data_root`` is changed to a distilled set, ``indices`` for the real dataset are easily left in the config.

    Raises:
        DistillError: Indices are out of range for a distilled set.
    """
    for key, part in part_configs(cfg, where):
        root = part.get('data_root')
        if part.get('indices') is not None and isinstance(root, str) and osp.isfile(osp.join(root, MANIFEST)):
            check_subset(root, len(read_manifest(root)['images']), part['indices'], f'{key}.indices')


def check_subset(root: str, count: int, indices: Any, where: str = 'indices') -> None:
    """Check ``indices`` for a distilled set of ``count`` images, and warn if they leave out some images.

    Raises:
        DistillError: An index is out of range.
    """
    chosen, advice = count, 'if they were meant for the real dataset, leave them out'
    if isinstance(indices, int):
        if (chosen := abs(indices)) > count:
            raise DistillError(f'{where}={indices} is out of range, since the distilled set {root} has '
                               f'{counted(count, "image")}: {advice}')
    elif isinstance(indices, (list, tuple)):
        if outside := _outside(indices, count):
            raise DistillError(f'{where}={shorten(str(list(indices)))}: {outside[0]} is out of range, since the '
                               f'distilled set {root} has {counted(count, "image")}: {advice}')
        chosen = len({*indices})
    if chosen < count:
        print_log(f'{where}: {chosen} of the {count} images of the distilled set {root} are read; {advice}', 'current',
                  logging.WARNING)
