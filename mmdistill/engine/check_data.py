"""Checks of the datasets of a config before a mask or an image is read."""
import inspect
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple

from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset

from mmdistill.components import check_component, resolve
from mmdistill.datasets.listing import bad_list, no_images
from mmdistill.datasets.reading import check_backend
from mmdistill.datasets.subsets import bad_indices
from mmdistill.datasets.wrapped_configs import in_scope, inner_configs
from mmdistill.datasets.wrappers import KNOWN, is_wrapper
from mmdistill.errors import DistillError, one_line
from mmdistill.registry import DATASETS
from mmdistill.settings import NonNegativeInt, PositiveInt, check_value
from mmdistill.tasks.base import Task, all_tasks, task_of_datasets
from .pipelines import check_pipelines
from .runner_parts import check_loader


@contextmanager
def dataset_errors(where: str) -> Iterator[None]:
    """Replace exceptions of OpenMMLab's dataset at key ``where`` by a :class:`DistillError` that names the remedy."""
    try:
        yield
    except DistillError:
        raise
    except Exception as error:
        if found := bad_list(error) or bad_indices(error, where):
            raise found from None
        if isinstance(error, FileNotFoundError):
            raise DistillError(f'no data at {error.filename or error}: set {where}.data_root, or data_prefix in '
                               'it') from None
        if not isinstance(error, (AssertionError, AttributeError, KeyError, OSError, RuntimeError, TypeError,
                                  ValueError)):
            raise
        reason: Any = error
        if 'need at least one array' in str(error):  # the error of an empty dataset
            frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
            reason = no_images(next((one.f_locals['self'] for one in frames if one.f_code.co_name == '_serialize_data'),
                                    None))
        if 'palette does not match classes' in str(error):
            reason = 'metainfo.palette has too many or too few colours for the classes: correct it, or leave it out'
        raise DistillError(f'{where}: {one_line(reason, None)}') from None


def check_dataset(cfg: Any, where: str) -> Dict[str, Tuple[Callable, Mapping[str, Any]]]:
    """Check the config of a dataset and of the datasets that it wraps.

    Returns:
        Config key → class and config of each dataset that reads files; wrappers are not included.

    Raises:
        DistillError: A component is wrong (see :func:`~mmdistill.components.check_component`), or a wrapper contains no
            dataset.
    """
    component = check_component(_named_by_strings(cfg), DATASETS, where)
    inner = inner_configs(cfg)
    names = (cfg.get('metainfo') or {}).get('classes') if isinstance(cfg.get('metainfo'), Mapping) else None
    if not isinstance(names, (list, tuple, str, type(None))):
        raise DistillError(f'{where}.metainfo.classes={names!r}: give the names, a list, or the path of a file')
    if not (inspect.isclass(component) and is_wrapper(component)):
        return {where: (component, cfg)}
    key = 'datasets' if issubclass(component, ConcatDataset) else 'dataset'
    inner = {name: member for name, member in inner.items() if name.partition('.')[0] == key}
    if not inner or key == 'datasets' and len(inner) < len(cfg[key]):
        wrapped = 'at least one dataset' if key == 'datasets' else 'a dataset'
        raise DistillError(f'{where}.{key}: {component.__name__} wraps {wrapped}: give it dict(type=..., ...)')
    found: Dict[str, Tuple[Callable, Mapping[str, Any]]] = {}
    for name, member in inner.items():
        found.update(check_dataset(in_scope(member, cfg.get('_scope_')), f'{where}.{name}'))
    _check_counts(cfg, where)
    if issubclass(component, ClassBalancedDataset):
        _check_balanced(in_scope(cfg['dataset'], cfg.get('_scope_')), f'{where}.dataset')
    return found


def _check_counts(cfg: Mapping[str, Any], where: str) -> None:
    """Check ``times`` of ``RepeatDataset``, and ``fold`` and ``num_splits`` of ``KFoldDataset``, in any wrapper."""
    if 'times' in cfg:
        check_value(f'{where}.times', cfg['times'], PositiveInt)
    if 'fold' in cfg or 'num_splits' in cfg:
        fold, splits = cfg.get('fold', 0), cfg.get('num_splits', 5)
        check_value(f'{where}.fold', fold, NonNegativeInt)
        check_value(f'{where}.num_splits', splits, PositiveInt)
        if fold >= splits:
            raise DistillError(f'{where}.fold={fold}: with num_splits={splits} the folds are 0..{splits - 1}')


def _check_balanced(cfg: Mapping[str, Any], where: str) -> None:
    """Check that a dataset inside ``ClassBalancedDataset`` implements ``get_cat_ids``."""
    component, lacking = resolve(cfg, DATASETS, where), BaseDataset.get_cat_ids
    if inspect.isclass(component) and getattr(component, 'get_cat_ids', lacking) is lacking:
        raise DistillError(f'{where}: ClassBalancedDataset needs the method get_cat_ids(), which '
                           f'{component.__name__} does not have: leave ClassBalancedDataset out; repeated images are '
                           'candidates only once anyway')


def _named_by_strings(cfg: Any) -> Any:
    """A dataset's config with ``classes`` as strings: mmpretrain accepts numbers, although it declares strings."""
    names = cfg.get('classes') if isinstance(cfg, Mapping) else None
    return {**cfg, 'classes': [*map(str, names)]} if isinstance(names, (list, tuple)) else cfg


def check_dataloader(cfg: Mapping[str, Any], where: str) -> Optional[Task]:
    """Check ``test_dataloader`` and return the task of its dataset; None if the task is known only from its files."""
    check_loader(cfg, 'test_dataloader')
    found = check_dataset(cfg['dataset'], where)
    classes = {key: component for key, (component, _) in found.items() if inspect.isclass(component)}
    for key, component in classes.items():
        if inner_configs(found[key][1]) and not any(task.owns(component) for task in all_tasks()):
            raise DistillError(f'{key}: {component.__name__} is an unknown wrapper of datasets: give the '
                               f'dataset inside it, or derive the wrapper from one of {KNOWN}')
    if not classes:
        return None
    task = task_of_datasets(classes)
    for key, component in classes.items():
        task.check_dataset(component, found[key][1], key)
        check_backend(found[key][1].get('backend_args'), f'{key}.backend_args')
    check_pipelines(cfg['dataset'], where, task.scope)
    return task
