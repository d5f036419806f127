"""Which of several wrapped datasets cannot be read, once the whole could not be."""
from contextlib import contextmanager
from typing import Any, Iterator, List, Mapping, Tuple

from mmdistill.config import type_name
from mmdistill.datasets.wrapped_configs import bare, in_scope, inner_configs
from mmdistill.datasets.wrappers import other_classes
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from mmdistill.selection.report import shorten
from .check import readable


@contextmanager
def readable_parts(cfg: Mapping[str, Any], where: str) -> Iterator[None]:
    """:func:`~mmdistill.engine.check.readable` of a dataset by its config at key ``where``; the message names the
    dataset behind its wrappers that it is about."""
    try:
        with readable(where):
            yield
    except DistillError:
        _explain(cfg, where)
        raise


def _explain(cfg: Mapping[str, Any], where: str) -> None:
    """Raise the DistillError of the first wrapped dataset that cannot be read by itself, or of two that a
    ``ConcatDataset`` does not take together; nothing if there are none."""
    built: List[Tuple[str, Any]] = []
    for name, member in inner_configs(cfg).items():
        key, member = f'{where}.{name}', in_scope(member, cfg.get('_scope_'))
        _explain(member, key)
        try:
            with readable(key):
                built.append((key, DATASETS.build(bare(member))))
        except DistillError as error:
            raise error if key in str(error) else DistillError(f'{key}: {error}') from None
    ignored = cfg.get('ignore_keys') or []
    for key, dataset in built[1:] if type_name(cfg) != 'UnionDataset' else ():  # which compares classes alone, itself
        _compare(built[0], (key, dataset), [ignored] if isinstance(ignored, str) else ignored)


def _compare(first: Tuple[str, Any], second: Tuple[str, Any], ignored: Any) -> None:
    """Raise a DistillError for metainfo that differs, classes first, and is not ``ignored``."""
    (here, left), (there, right) = ((key, dataset.metainfo) for key, dataset in (first, second))
    classes, others = (tuple(metainfo.get('classes') or ()) for metainfo in (left, right))
    if 'classes' not in ignored and (difference := other_classes(classes, others)):
        raise DistillError(f'{there} has other classes than {here}: {difference}; give both the same metainfo.classes, '
                           'in the same order')
    for name in ('reduce_zero_label', *sorted({*left, *right} - {'classes', 'reduce_zero_label'})):
        values = [metainfo.get(name) for metainfo in (left, right)]
        if name not in ignored and str(values[0]) != str(values[1]):
            shown, other = (shorten(str(value)) for value in values)
            raise DistillError(f'{there} has {name}={other}, but {here} {shown}, and ConcatDataset takes only equal '
                               f"ones: set both alike, or ignore_keys=['{name}'] beside datasets")
    if 'classes' not in ignored and left.get('classes') != right.get('classes'):
        raise DistillError(f'{there} and {here} have the same classes, but ConcatDataset tells numbers from strings, '
                           'and lists from tuples: write metainfo.classes of both alike')
