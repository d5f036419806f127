"""Checks of the distilled sets of a comparison, before anything is trained."""
from typing import Any, Iterator, Mapping, Set, Tuple

from mmdistill.config import type_name
from mmdistill.datasets.distilled import check_weights
from mmdistill.datasets.manifest import read_manifest
from mmdistill.datasets.verify import check_checksums
from mmdistill.datasets.wrapped_configs import part_configs
from mmdistill.errors import DistillError, Problems
from mmdistill.tasks.base import Task, task_of_manifest


def check_distilled_sets(training_sets: Mapping[str, Mapping[str, Any]], task: Task, problems: Problems) -> None:
    """Collect errors for distilled sets that are missing, altered, of another task or without image weights.

    Args:
        training_sets: The configs of the training sets, by name.
        task: The task of the protocol.
        problems: Collects the errors. The files of a set are only compared with their checksums once.
    """
    compared: Set[str] = set()
    for name, spec in training_sets.items():
        for key, root in _distilled_roots(spec):
            with problems.collect():
                _check_set(root, f'training_sets.{name}', key, task, spec.get('weights', False), root in compared)
            compared.add(root)


def _distilled_roots(spec: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    """(key, folder) of each distilled set in the config of a training set, also inside dataset wrappers."""
    for key in ('data_root', 'dataset'):
        value = spec.get(key, [])
        for member in value if isinstance(value, (list, tuple)) else [value]:
            if key == 'data_root':
                yield key, member
                continue
            for inner, part in part_configs(member, key):
                if type_name(part) == 'DistilledDataset' and isinstance(part.get('data_root'), str):
                    yield f'{inner}.data_root', part['data_root']


def _check_set(root: str, where: str, key: str, task: Task, weighted: bool, compared: bool) -> None:
    advice = f', or leave the set out with {where}=None'
    try:
        manifest = read_manifest(root)
    except DistillError as error:
        raise DistillError(f'{where}.{key}: {error}{advice}') from None
    found = task_of_manifest(manifest, root).name
    if found != task.name:
        raise DistillError(f'{where}.{key}={root!r} is a set of {found}, the protocol trains {task.name}')
    if weighted:
        check_weights(root, manifest)
    if not compared:
        try:
            check_checksums(root, manifest)
        except DistillError as error:
            raise DistillError(f'{where}.{key}: {error}{advice}') from None
