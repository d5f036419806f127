"""Checks of a distillation config that run before any mask, image or weight is read."""
import inspect
import os
import os.path as osp
from contextlib import contextmanager
from typing import Any, Callable, Collection, Dict, Iterator, Literal, Mapping, Optional, Tuple

from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset
from mmengine.hooks import Hook
from mmengine.registry import VISBACKENDS
from torch.utils.data import DataLoader

from mmdistill.components import check_component, check_spelling, resolve
from mmdistill.config import RUNNER_KEYS, without_scope
from mmdistill.datasets.listing import bad_list
from mmdistill.datasets.reading import check_backend
from mmdistill.datasets.subsets import bad_indices
from mmdistill.datasets.wrapped_configs import in_scope, inner_configs
from mmdistill.datasets.wrappers import KNOWN, is_wrapper
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.plan import Plan
from mmdistill.registry import DATASETS, GENERATORS, HOOKS, LOOPS, MODELS, VISUALIZERS, WRITERS
from mmdistill.settings import NonNegativeInt, PositiveInt, check_value, nearest, setting
from mmdistill.tasks.base import Task, all_tasks, task_of_datasets
from .composition import ComposingHook, Composition
from .inherited import KEY, check_unused, distillation_config
from .pipelines import check_pipelines
from .places import check_work_dir

SCOPE = 'mmdistill'
_TOP = dict(work_dir=Optional[str], env_cfg=dict, randomness=Optional[dict], log_processor=Optional[dict],
            log_level=Optional[Literal['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG', 'NOTSET']])
_LOADER_KEYS = {*inspect.signature(DataLoader).parameters, 'num_batch_per_epoch'}


def check_run(cfg: Mapping[str, Any], resume: bool = False) -> None:
    """Check a complete distillation config: names, settings, value ranges, and whether the parts fit together.

    Args:
        cfg: The config, as MMEngine reads it.
        resume: Whether to check also that the plan in the work dir belongs to this config.

    Raises:
        DistillError: The config has a mistake. The message names the key and the remedy.
    """
    written, cfg = cfg, distillation_config(cfg)
    _check_keys(cfg)
    _check_type(cfg['model'], MODELS, 'model', 'Distiller')
    _check_type(cfg['test_cfg'], LOOPS, 'test_cfg', 'DistillLoop', ('runner', 'dataloader', 'evaluator'))
    key = cfg['test_cfg'].get('dataset_key', KEY)
    task = _check_dataloader(cfg['test_dataloader'], key)
    check_work_dir(cfg.get('work_dir'), cfg['test_dataloader']['dataset'], key)
    check_unused(written)
    _check_loops(cfg)
    composition = _check_hooks(cfg)
    if cfg.get('visualizer'):
        check_component(cfg['visualizer'], VISUALIZERS, 'visualizer')
        for i, backend in enumerate(cfg['visualizer'].get('vis_backends') or ()):
            check_component(backend, VISBACKENDS, f'visualizer.vis_backends.{i}', ('save_dir', ))
    generator = cfg['model']['generator']
    if task is not None:  # the task of a distilled set is known only from its manifest
        check_fit(task, generator, cfg['test_cfg'].get('writer'))
    if check_weights := getattr(resolve(generator, GENERATORS, 'model.generator'), 'check_weights', None):
        check_weights(generator, 'model.generator')
    if task is not None:
        writer = resolve({'type': task.writer, **(cfg['test_cfg'].get('writer') or {})}, WRITERS, 'test_cfg.writer')
        composition.check(task, generator, writer)
    if resume:
        load_plan(cfg, composition)


def has_begun(work_dir: str) -> bool:
    """Whether the work dir contains a plan or images of a run."""
    return osp.isfile(osp.join(work_dir, 'plan.json')) or any(
        files for folder in ('distilled', 'candidates') for _, _, files in os.walk(osp.join(work_dir, folder)))


def run_hash(cfg: Mapping[str, Any], composition: Composition) -> str:
    """Hash of everything that affects the images: dataset, generator, method, seed, plan, guidance and writer."""
    loop = resolve(cfg['test_cfg'], LOOPS, 'test_cfg')
    method, seed, writer = (setting(loop, cfg['test_cfg'], key) for key in ('method', 'seed', 'writer'))
    decisive = [cfg['model'], cfg['test_dataloader']['dataset'], method, seed, composition.describe(), writer]
    return config_hash(without_scope(decisive, SCOPE))  # the same for bases named by path and by mmdistill::


def load_plan(cfg: Mapping[str, Any], composition: Composition) -> Plan:
    """Load the plan of the work dir; raise a DistillError if it is missing or belongs to another config."""
    path = osp.join(cfg['work_dir'], 'plan.json')
    plan, found = Plan.load(path), run_hash(cfg, composition)
    if plan.config_hash != found:
        raise DistillError(f'{path} belongs to another config (its hash is {plan.config_hash}, this one\'s {found}): '
                           'use the config in the work dir, or another --work-dir')
    seed = setting(resolve(cfg['test_cfg'], LOOPS, 'test_cfg'), cfg['test_cfg'], 'seed')
    if plan.seed != seed:
        raise DistillError(f"{path} has the seed {plan.seed}, the config {seed}: restore it, or begin another run in "
                           'another --work-dir')
    return plan


def check_fit(task: Task, generator: Mapping[str, Any], writer: Optional[Mapping[str, Any]]) -> None:
    """Raise a DistillError unless the generator and the writer are for the task of the dataset."""
    for part, registry, cfg in (('model.generator', GENERATORS, generator),
                                ('test_cfg.writer', WRITERS, {'type': task.writer, **(writer or {})})):
        task.check_annotation(resolve(cfg, registry, part), part, registry)
    writer_config(writer, task)


def writer_config(writer: Optional[Mapping[str, Any]], task: Task, dataset: Any = None) -> Dict[str, Any]:
    """Check and complete the config of the writer.

    Args:
        writer: ``test_cfg.writer``; without ``type``, the default writer of the task.
        task: The task of the dataset.
        dataset: The real dataset. It is added to the config if the writer declares ``dataset`` in ``needs``.

    Returns:
        The config without ``root``, the folder of the set.
    """
    cfg = {'type': task.writer, **(writer or {})}
    component = check_component(cfg, WRITERS, 'test_cfg.writer', ('root', 'dataset'))
    return dict(cfg, dataset=dataset) if 'dataset' in getattr(component, 'needs', ()) else cfg


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
        empty = 'need at least one array' in str(error)  # mmseg's error for a folder without images
        reason = 'it finds no image: check data_root, data_prefix and img_suffix' if empty else error
        if 'palette does not match classes' in str(error):
            reason = 'metainfo.palette has not one colour for each of metainfo.classes: correct it, or leave it out'
        raise DistillError(f'{where}: {" ".join(str(reason).split())}') from None


def _check_keys(cfg: Mapping[str, Any]) -> None:
    """Check the top-level keys that are not components, and the required ones."""
    check_spelling(cfg, {*RUNNER_KEYS, 'custom_imports'})
    for key in ('model', 'test_dataloader', 'test_cfg'):
        if not isinstance(cfg.get(key), Mapping):
            inherit = ', or a train_dataloader' if key == 'test_dataloader' else ''
            raise DistillError(f'{key}={cfg.get(key)!r}: a distillation config needs {key}=dict(...){inherit}; see '
                               'configs/quickstart')
    for key, hint in _TOP.items():
        check_value(key, cfg.get(key, {} if hint is dict else None), hint)
    for key in ('load_from', 'resume'):
        if cfg.get(key):
            raise DistillError(f'{key}={cfg[key]!r} is of a training: leave it out (--resume continues a distillation)')
    if cfg.get('default_scope') != SCOPE:
        raise DistillError(f'default_scope={cfg.get("default_scope")!r}: set it to {SCOPE!r}, or inherit '
                           'mmdistill::_base_/default_runtime.py')


def _check_loops(cfg: Mapping[str, Any]) -> None:
    """Check that MMEngine's runner accepts the keys of training and validation."""
    for loop in (('train_dataloader', 'train_cfg', 'optim_wrapper'), ('val_dataloader', 'val_cfg', 'val_evaluator')):
        missing = [key for key in loop if cfg.get(key) is None]
        if 0 < len(missing) < 3:
            present = next(key for key in loop if key not in missing)
            raise DistillError(f'{present}: MMEngine asks for {", ".join(missing)} with it: leave it out')
    if cfg.get('test_evaluator') is None:
        raise DistillError('test_evaluator: MMEngine asks for one: add test_evaluator=[]')


def _check_type(cfg: Mapping[str, Any], registry, where: str, expected: str, provided: Collection[str] = ()) -> None:
    """Check a component that must be the class ``expected`` or a subclass."""
    component = check_component(cfg, registry, where, provided)
    if not (inspect.isclass(component) and issubclass(component, registry.get(expected))):
        raise DistillError(f'{where}.type={cfg["type"]!r}: a distillation run needs {expected}')


def check_dataset(cfg: Any, where: str) -> Dict[str, Tuple[Callable, Mapping[str, Any]]]:
    """Check the config of a dataset and of the datasets that it wraps.

    Returns:
        Config key → class and config of each dataset that reads files, which excludes wrappers.

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
        raise DistillError(f'{where}: ClassBalancedDataset asks for the classes of an image by get_cat_ids(), which '
                           f'{component.__name__} does not have: leave ClassBalancedDataset out; repeated images are '
                           'candidates only once anyway')


def _named_by_strings(cfg: Any) -> Any:
    """A dataset's config with ``classes`` as strings: mmpretrain accepts numbers, although it declares strings."""
    names = cfg.get('classes') if isinstance(cfg, Mapping) else None
    return {**cfg, 'classes': [*map(str, names)]} if isinstance(names, (list, tuple)) else cfg


def _check_dataloader(cfg: Mapping[str, Any], where: str) -> Optional[Task]:
    """Check ``test_dataloader`` and return the task of its dataset, or None if only its files tell the task."""
    for key in cfg:
        if key not in _LOADER_KEYS:
            raise DistillError(f'test_dataloader.{key}: unknown setting{nearest(key, _LOADER_KEYS)}')
    check_value('test_dataloader.batch_size', cfg.get('batch_size', 1), PositiveInt)
    check_value('test_dataloader.num_workers', cfg.get('num_workers', 0), NonNegativeInt)
    if 'dataset' not in cfg:
        raise DistillError('test_dataloader.dataset: the real dataset is missing: give it dict(type=..., '
                           'data_root=...)')
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


def _check_hooks(cfg: Mapping[str, Any]) -> Composition:
    """Check the hooks and return the parts that they define."""
    composition = Composition()
    hooks = cfg.get('custom_hooks') or []
    if isinstance(hooks, (str, Mapping)):
        raise DistillError('custom_hooks: give it a list of dict(type=..., ...)')
    listed = [(f'custom_hooks.{i}', hook) for i, hook in enumerate(hooks) if not isinstance(hook, Hook)]
    default = [(f'default_hooks.{name}', hook) for name, hook in (cfg.get('default_hooks') or {}).items()
               if isinstance(hook, Mapping)]
    for where, hook in listed + default:
        if isinstance(hook, Mapping):
            hook = {key: value for key, value in hook.items() if key != 'priority'}
        component = check_component(hook, HOOKS, where)
        if inspect.isclass(component) and issubclass(component, ComposingHook):
            HOOKS.build(dict(hook)).compose(composition)
    return composition
