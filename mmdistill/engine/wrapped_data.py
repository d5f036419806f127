"""Finds the dataset inside wrappers that causes an error."""
from contextlib import contextmanager
from typing import Any, Iterator, List, Mapping, Tuple

from mmdistill.config import type_name
from mmdistill.datasets.wrapped_configs import bare, in_scope, inner_configs
from mmdistill.datasets.wrappers import other_classes
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from mmdistill.selection.report import shorten
from .check_data import dataset_errors


@contextmanager
def wrapped_dataset_errors(cfg: Mapping[str, Any], where: str) -> Iterator[None]:
    """Like :func:`~mmdistill.engine.check_data.dataset_errors`, but the message names the wrapped dataset that fails.

    Args:
        cfg: Config of the dataset, possibly of a wrapper.
        where: Key of the dataset in the config.
    """
    try:
        with dataset_errors(where):
            yield
    except DistillError:
        _explain(cfg, where)
        raise


def _explain(cfg: Mapping[str, Any], where: str) -> None:
    """Raise a DistillError for the first wrapped dataset that cannot be built, or for the first two that
    ``ConcatDataset`` cannot join."""
    built: List[Tuple[str, Any]] = []
    for name, member in inner_configs(cfg).items():
        key, member = f'{where}.{name}', in_scope(member, cfg.get('_scope_'))
        _explain(member, key)
        try:
            with dataset_errors(key):
                built.append((key, DATASETS.build(bare(member))))
        except DistillError as error:
            raise error if key in str(error) else DistillError(f'{key}: {error}') from None
    ignored = cfg.get('ignore_keys') or []
    # UnionDataset compares only the classes, and reports them itself.
    for key, dataset in built[1:] if type_name(cfg) != 'UnionDataset' else ():
        _compare(built[0], (key, dataset), [ignored] if isinstance(ignored, str) else ignored)


def _compare(first: Tuple[str, Any], second: Tuple[str, Any], ignored: Any) -> None:
    """Raise a DistillError if the metainfo of two datasets differs in a key that is not ``ignored``."""
    (here, left), (there, right) = ((key, dataset.metainfo) for key, dataset in (first, second))
    classes, others = (tuple(metainfo.get('classes') or ()) for metainfo in (left, right))
    if 'classes' not in ignored and (difference := other_classes(classes, others)):
        raise DistillError(f'{there} has other classes than {here}: {difference}; give both the same metainfo.classes, '
                           'in the same order')
    for name in ('reduce_zero_label', *sorted({*left, *right} - {'classes', 'reduce_zero_label'})):
        values = [metainfo.get(name) for metainfo in (left, right)]
        if name not in ignored and str(values[0]) != str(values[1]):
            shown, other = (shorten(str(value)) for value in values)
            raise DistillError(f'{there} has {name}={other}, but {here} has {shown}, and ConcatDataset accepts '
                               f"equal values only: set both to the same value, or set ignore_keys=['{name}']")
    if 'classes' not in ignored and left.get('classes') != right.get('classes'):
        raise DistillError(f'{there} and {here} have the same classes, but ConcatDataset distinguishes numbers from '
                           'strings and lists from tuples: write metainfo.classes of both in the same form')
