"""Provenance of real samples, and detection of splits that are not training splits."""
import os.path as osp
import re
from typing import Any, Dict, Iterator, List

from .wrappers import real_parts, real_rows

_OTHER = re.compile(r'(val|valid|validation|test|testing)\d*')


def provenance(real: Any) -> Dict[str, Any]:
    """The provenance of real samples (:func:`~mmdistill.datasets.wrappers.real_dataset`), as JSON values for a plan.

    Returns:
        dict: ``dataset`` (name of its class), ``data_root``, ``data_prefix``, ``ann_file``, ``split``, and
        ``other_split``, the setting that shows that the dataset is a validation or test split, if any. Several datasets
        are listed in ``parts``, each with its number of ``images``.
    """
    found = [_recorded(part) for part in real_parts(real)]
    if len(found) == 1:
        return found[0]
    rows = [part for part, _ in real_rows(real)]
    roots = list(dict.fromkeys(one['data_root'] for one in found))
    return dict(dataset=' + '.join(dict.fromkeys(one['dataset'] for one in found)),
                data_root=roots[0] if len(roots) == 1 else roots,
                parts=[dict(one, images=rows.count(number)) for number, one in enumerate(found)])


def _recorded(dataset: Any) -> Dict[str, Any]:
    other = other_split(dataset)
    return dict(_origin(dataset), **(dict(other_split=other) if other else {}))


def _origin(dataset: Any) -> Dict[str, Any]:
    root = getattr(dataset, 'data_root', None)
    prefixes = getattr(dataset, 'data_prefix', None) or {}
    found = dict(
        dataset=type(dataset).__name__, data_root=root, ann_file=_below(root, getattr(dataset, 'ann_file', '')),
        data_prefix={key: _below(root, path) for key, path in prefixes.items() if path},
        split=getattr(dataset, 'split', ''))
    return {key: value for key, value in found.items() if value or key in ('dataset', 'data_root')}


def other_split(dataset: Any) -> str:
    """The setting that shows that a dataset is a validation or test split, such as ``img_path='images/validation'``.

    Returns:
        The setting as text; '' if there is none.
    """
    if getattr(dataset, 'test_mode', False):
        return 'test_mode=True'
    found = dict(_places(dataset))
    if any(word.startswith('train') for value in found.values() for word in _words(value)):
        return ''
    return next((f'{key}={value!r}' for key, value in found.items() if any(map(_OTHER.fullmatch, _words(value)))), '')


def _places(dataset: Any) -> Iterator[Any]:
    """Yield the (key, value) settings that determine which images a dataset reads."""
    origin = _origin(dataset)
    if isinstance(origin.get('split'), str):
        yield 'split', origin['split']
    yield from origin.get('data_prefix', {}).items()
    yield 'ann_file', origin.get('ann_file', '')
    yield 'data_root', osp.basename(osp.normpath(str(origin['data_root'] or '')))


def _words(place: str) -> List[str]:
    return re.split(r'[^a-z0-9]+', place.lower())


def _below(root: Any, path: Any) -> str:
    """A path, relative to the root if it is inside."""
    path = str(path or '')
    inside = osp.relpath(path, root) if path and root and '://' not in path else path
    return path if inside.startswith('..') else '' if inside == '.' else inside
