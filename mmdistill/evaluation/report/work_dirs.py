"""Reads work dirs for the report."""
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Container, Dict, List, Mapping, Optional, Sequence, Tuple, TypedDict, Union

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from mmdistill.datasets.manifest import read_manifest
from mmdistill.documents import check_record, parse_object, read_document
from mmdistill.errors import DistillError
from mmdistill.plan import check_classes
from mmdistill.settings import NonNegative, NonNegativeInt
from mmdistill.tasks.base import Task, task_of_manifest
from ..results import data_roots as roots_of
from ..results import read_results

Values = Dict[str, Optional[float]]
_WORDS = {'class', 'transport_method', 'real', 'distilled', 'missing'}  # metrics whose values are not numbers


class _Row(TypedDict):
    set: str
    student: str
    metric: str
    mean: float
    std: float
    seeds: NonNegativeInt
    image_sets: NonNegativeInt
    images: NonNegativeInt
    seconds: NonNegative


class _Weighted(TypedDict, total=False):
    weighted: bool


class _Run(_Weighted):
    set: str
    student: str
    image_set: NonNegativeInt
    seed: NonNegativeInt
    metrics: Values
    curve: List[Tuple[NonNegativeInt, Optional[float]]]
    classes: Values
    images: NonNegativeInt
    seconds: NonNegative
    config_hash: str


class _Command(TypedDict, total=False):
    command: str


class _Results(_Command):
    task: str
    protocol: str
    hash: str
    metric: str
    classes: List[str]
    notes: List[str]
    sets: Dict[str, Union[None, str, List[str]]]
    rows: List[_Row]
    runs: List[_Run]


class _Balance(TypedDict):
    real: Dict[str, NonNegative]
    distilled: Dict[str, NonNegative]


class _Measured(TypedDict):
    rows: Optional[List[dict]]
    balance: _Balance
    judge: Optional[Values]


class _Metrics(TypedDict):
    encoder: Optional[str]
    sets: Dict[str, _Measured]


@dataclass(frozen=True)
class DistilledSet:
    """A finished distilled set: its data root and its manifest."""
    root: Path
    manifest: Dict[str, Any]

    @property
    def sources(self) -> Tuple[Optional[int], ...]:
        """Index of the source sample of each image; None for an image without a single source."""
        return tuple(image.get('source_index') for image in self.manifest['images'])


@dataclass(frozen=True)
class WorkDir:
    """The output of ``mmdistill evaluate`` or ``mmdistill distill``."""
    task: Task  #: Task of the sets.
    classes: List[str]  #: Class names, in the order of the ids.
    distilled: Dict[str, DistilledSet]  #: By name in the comparison; ``'distilled'`` without a comparison.
    results: Dict[str, Any]  #: ``results.json`` of the comparison; empty without one.
    metrics: Dict[str, Any]  #: ``set_metrics.json``; may be empty.
    features: Dict[str, np.ndarray]  #: (n, D) of ``'real'`` and each set, class ids in ``'labels/…'``; may be empty.
    histograms: Optional[np.ndarray]  #: int64 (N, K), pixels per class of each mask of the real set.
    notes: List[str]  #: Sentences about missing parts.
    data_roots: Tuple[Path, ...] = ()  #: Folders whose real images may be shown.

    @property
    def runs(self) -> List[Dict[str, Any]]:
        """Every run of a student."""
        return self.results.get('runs', [])

    @property
    def sets(self) -> List[str]:
        """Names of the training sets, or of the distilled sets without a comparison."""
        return list(self.results.get('sets', self.distilled))

    @property
    def weighted(self) -> Dict[str, bool]:
        """Whether the images of each distilled set have weights in the students' loss; without students, whether its
        manifest has weights."""
        weighted = {run['set'] for run in self.runs if run.get('weighted')}
        return {name: name in weighted if self.runs else all('weight' in image for image in one.manifest['images'])
                for name, one in self.distilled.items()}

    @property
    def real_shares(self) -> Optional[Dict[str, float]]:
        """Share of each class in the real set, 0..1, of its labelled pixels or of its images; None if unknown."""
        if self.histograms is not None:
            pixels = self.histograms.sum(axis=0)
            return dict(zip(self.classes, (pixels / max(pixels.sum(), 1)).tolist()))
        return next((one['balance']['real'] for one in self.metrics.get('sets', {}).values()), None)

    def selections(self) -> List[Tuple[str, ...]]:
        """Names of the distilled sets, grouped by their requests: the same ids made from the same samples."""
        groups: Dict[Any, Tuple[str, ...]] = {}
        for name, one in self.distilled.items():
            ids = tuple(image['id'] for image in one.manifest['images'])
            key = ids, one.sources, tuple(one.manifest['classes']), one.manifest['source_size']
            groups[key] = *groups.get(key, ()), name
        return list(groups.values())


def read_work_dir(path: Union[str, Path], data_roots: Sequence[Union[str, Path]] = ()) -> WorkDir:
    """Read the work dir of ``mmdistill evaluate``, ``mmdistill distill`` or ``tools/quickstart.py``.

    Args:
        path: The work dir.
        data_roots: Folders of real data. Paths in a manifest are not trusted: only real images inside these folders
            are shown.

    Raises:
        DistillError: There is no such folder, it contains neither results nor a distilled set, the set is unfinished,
            or a file is unreadable or of another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise DistillError(f'no folder {path}: give work dirs of mmdistill evaluate or mmdistill distill')
    if (path / 'comparison/results.json').is_file():  # of the quickstart
        path = path / 'comparison'
    results = read_results(path) or {}
    if results:
        _check(results, path / 'results.json')
    elif not (path / 'distilled').is_dir():
        raise DistillError(f'{path} holds neither results.json nor a distilled set: give a finished work dir of '
                           'mmdistill evaluate or mmdistill distill')
    roots = roots_of(results) if results else dict(distilled=[path / 'distilled'])
    distilled, notes = _first_sets(roots)
    described = results or distilled['distilled'].manifest
    folders = [path, *(one.root.parent for one in distilled.values())]
    return WorkDir(task_of_manifest(described, str(path)), list(described['classes']), distilled, results,
                   _measured(path / 'set_metrics.json', partial(_metrics, names=roots, classes=described['classes'])),
                   _measured(path / 'features.safetensors', _features), _histograms(folders, described['classes']),
                   notes, tuple(map(Path, data_roots)))


def _first_sets(roots: Mapping[str, Sequence[Path]]) -> Tuple[Dict[str, DistilledSet], List[str]]:
    """The first image set of each distilled set, and sentences about those that are not shown."""
    found: Dict[str, DistilledSet] = {}
    notes = []
    for name, (root, *others) in ((name, folders) for name, folders in roots.items() if folders):
        if not root.is_dir():
            notes.append(f'The images of {name} are not shown: {root} does not exist.')
            continue
        found[name] = DistilledSet(root, read_manifest(root))
        if others:
            notes.append(f'The images of {name} are those of the first of its {len(others) + 1} image sets.')
    return found, notes


def _check(results: Dict[str, Any], file: Path) -> None:
    try:
        check_record(results, _Results)
        check_classes(results['classes'], ())
        if not results['runs']:
            raise ValueError('it has no runs')
        for one in (*results['runs'], *results['rows']):
            if one['set'] not in results['sets']:
                raise ValueError(f'the set {one["set"]!r} of a run is not one of its sets')
        for run in results['runs']:
            if results['metric'] not in run['metrics'] or set(run['classes']) != set(results['classes']):
                raise ValueError(f'a run of {run["set"]} has other metrics or classes')
    except ValueError as error:
        raise DistillError(f'{file} is of another version of mmdistill or unfinished ({error}): run mmdistill evaluate '
                           'again') from None


def _measured(file: Path, read: Callable[[Path], Dict[str, Any]]) -> Dict[str, Any]:
    """Read a file of ``mmdistill evaluate``; an empty dict if there is none."""
    try:
        return read(file) if file.is_file() else {}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DistillError(f'{file} is not a readable measurement of mmdistill evaluate ({error}): remove it and run '
                           'that again') from None


def _metrics(file: Path, names: Container[str], classes: Sequence[str]) -> Dict[str, Any]:
    """Read the metrics of the sets with these names."""
    metrics = read_document(file)
    check_record(metrics, _Metrics)
    if metrics['encoder'] is not None:
        parse_object(metrics['encoder'])
    for one in metrics['sets'].values():
        if any(set(one['balance'][side]) != set(classes) for side in ('real', 'distilled')):
            raise ValueError('balance has other classes')
        for values in (*(one['rows'] or ()), dict(one['balance'], **{'class': None})):
            words = {key for key, value in values.items() if not isinstance(value, (int, float, type(None)))}
            if words - _WORDS or not isinstance(values.get('class', 0), (str, type(None))):
                raise ValueError('a row has no class, or a value that is not a number')
    return dict(metrics, sets={name: one for name, one in metrics['sets'].items() if name in names})


def _features(file: Path) -> Dict[str, np.ndarray]:
    tensors = load_file(file)
    widths = {value.shape[1:] for key, value in tensors.items() if not key.startswith('labels/')}
    if 'real' not in tensors or len(widths) != 1 or tensors['real'].ndim != 2:
        raise ValueError('the features have different lengths, or those of the real set are missing')
    return tensors


def _histograms(folders: Sequence[Path], classes: Sequence[str]) -> Optional[np.ndarray]:
    """The cached histograms of these classes; None if there are none or the file is truncated."""
    for folder in folders:
        try:
            with np.load(folder / 'class_histograms.npz') as data:
                counts = data['counts']
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue
        if counts.ndim == 2 and counts.shape[1] == len(classes) and counts.any():
            return counts
    return None
