"""Checks of a distillation config that run before any mask, image or weight is read."""
import inspect
import os
import os.path as osp
from typing import Any, Collection, Dict, Mapping, Optional, Union


from mmdistill.components import check_component, check_spelling, resolve
from mmdistill.config import RUNNER_KEYS, without_scope
from mmdistill.differences import differing, json_values
from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.plan import Plan
from mmdistill.registry import GENERATORS, LOOPS, MODELS, WRITERS
from mmdistill.settings import check_value, setting
from mmdistill.tasks.base import Task
from .check_data import check_dataloader
from .composition import ComposingHook, Composition
from .inherited import KEY, check_unused, distillation_config
from .places import check_work_dir, set_folders
from .runner_parts import check_hooks, check_visualizer, incomplete_loop
from .runtime import check_runtime

SCOPE = 'mmdistill'
_TOP = dict(work_dir=Optional[str], env_cfg=dict, randomness=Optional[dict], log_processor=Optional[dict])


def check_run(cfg: Mapping[str, Any], resume: bool = False) -> None:
    """Check a complete distillation config: names, settings, value ranges, and whether the parts fit together.

    Args:
        cfg: The config, as MMEngine reads it.
        resume: Whether to check that the plan in the work dir belongs to this config.

    Raises:
        DistillError: The config has a mistake. The message names the key and the remedy.
    """
    written, cfg = cfg, distillation_config(cfg)
    _check_keys(cfg)
    _check_type(cfg['model'], MODELS, 'model', 'Distiller')
    _check_type(cfg['test_cfg'], LOOPS, 'test_cfg', 'DistillLoop', ('runner', 'dataloader', 'evaluator'))
    if not _of_loop(cfg, 'method'):
        raise DistillError("test_cfg.method='' is empty: give the method a name")
    key = cfg['test_cfg'].get('dataset_key', KEY)
    task = check_dataloader(cfg['test_dataloader'], key)
    check_work_dir(cfg.get('work_dir'), cfg['test_dataloader']['dataset'], key)
    check_unused(written)
    _check_loops(cfg)
    composition = _check_hooks(cfg)
    generator = cfg['model']['generator']
    if task is not None:  # the task of a distilled set is known only from its manifest
        check_fit(task, generator, cfg['test_cfg'].get('writer'))
    if check_weights := getattr(resolve(generator, GENERATORS, 'model.generator'), 'check_weights', None):
        check_weights(generator, 'model.generator')
    if task is not None:
        writer = resolve({'type': task.writer, **(cfg['test_cfg'].get('writer') or {})}, WRITERS, 'test_cfg.writer')
        composition.check(task, generator, writer).check_settings(generator, _of_loop(cfg, 'method'))
    if resume:
        load_plan(cfg, composition)


def has_begun(work_dir: str) -> bool:
    """Whether the work dir contains a plan or images of a run."""
    return osp.isfile(osp.join(work_dir, 'plan.json')) or any(
        files for folder in set_folders(work_dir) for _, _, files in os.walk(folder))


def run_hash(cfg: Mapping[str, Any], composition: Composition) -> str:
    """Hash of everything that affects the images: dataset, generator, method, seed, plan, guidance and writer."""
    method, seed, writer = (_of_loop(cfg, key) for key in ('method', 'seed', 'writer'))
    decisive = [cfg['model'], cfg['test_dataloader']['dataset'], method, seed, composition.describe(), writer]
    return config_hash(without_scope(decisive, SCOPE))  # so base configs may be named by path or by mmdistill::


def run_settings(cfg: Mapping[str, Any], composition: Composition) -> Dict[str, Any]:
    """The settings of :func:`run_hash` by their keys in the config, as JSON values, to tell which of them changed."""
    of_loop = {f'test_cfg.{key}': _of_loop(cfg, key) for key in ('method', 'seed', 'writer')}
    found = {'model': cfg['model'], cfg['test_cfg'].get('dataset_key', KEY): cfg['test_dataloader']['dataset'],
             **of_loop, **composition.settings()}
    return json_values(without_scope(found, SCOPE))


def _of_loop(cfg: Mapping[str, Any], name: str) -> Any:
    """The value of a setting of ``test_cfg``, or its default."""
    return setting(resolve(cfg['test_cfg'], LOOPS, 'test_cfg'), cfg['test_cfg'], name)


def load_plan(cfg: Mapping[str, Any], composition: Composition) -> Plan:
    """Load the plan of the work dir; raise a DistillError if it is missing or belongs to another config."""
    path = osp.join(cfg['work_dir'], 'plan.json')
    plan = Plan.load(path, getattr(composition.planner, 'annotation', None))
    found = run_hash(cfg, composition)
    if plan.config_hash != found:
        differences = plan.settings and differing(plan.settings, run_settings(cfg, composition), 'the plan')
        hashes = f'its hash is {plan.config_hash}, that of this config {found}'
        raise DistillError(f'{path} belongs to another config ({differences or hashes}): use the config in the work '
                           'dir, or another --work-dir')
    seed = _of_loop(cfg, 'seed')
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
            raise DistillError(f'{key}={cfg[key]!r} only works in a training: remove it (--resume continues a '
                               'distillation)')
    check_runtime(cfg)
    inherited = cfg['test_cfg'].get('dataset_key', KEY) != KEY  # the config then inherits the seed of a training
    if (seed := (cfg.get('randomness') or {}).get('seed')) is not None and not inherited:
        raise DistillError(f'randomness.seed={seed} has no effect on a distillation: remove it, and set test_cfg.seed')
    if cfg.get('default_scope') != SCOPE:
        raise DistillError(f'default_scope={cfg.get("default_scope")!r}: set it to {SCOPE!r}, or inherit '
                           'mmdistill::_base_/default_runtime.py')


def _check_loops(cfg: Mapping[str, Any]) -> None:
    """Check that MMEngine's runner accepts the keys of training and validation."""
    for loop in (('train_dataloader', 'train_cfg', 'optim_wrapper'), ('val_dataloader', 'val_cfg', 'val_evaluator')):
        if incomplete := incomplete_loop(cfg, *loop):
            raise DistillError(f'{incomplete}: leave it out')
    if (evaluator := cfg.get('test_evaluator')) is None:
        raise DistillError('test_evaluator is missing, and MMEngine needs it: add test_evaluator=[]')
    check_value('test_evaluator', evaluator, Union[list, dict])


def _check_type(cfg: Mapping[str, Any], registry, where: str, expected: str, provided: Collection[str] = ()) -> None:
    """Check a component that must be the class ``expected`` or a subclass."""
    component = check_component(cfg, registry, where, provided)
    if not (inspect.isclass(component) and issubclass(component, registry.get(expected))):
        raise DistillError(f'{where}.type={cfg["type"]!r}: a distillation run needs {expected}')


def _check_hooks(cfg: Mapping[str, Any]) -> Composition:
    """Check the visualizer and the hooks, and return the parts that the hooks define."""
    composition = Composition()
    for _, hook in check_hooks(cfg, {}, check_visualizer(cfg.get('visualizer'), {})):
        if isinstance(hook, ComposingHook):
            hook.compose(composition)
    return composition
