"""Checks of the components that MMEngine's runner builds from a config: hooks, loaders, loops, metrics, visualizer."""
import inspect
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Collection, Dict, Iterator, Mapping, Optional, Tuple

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import DATA_SAMPLERS, EVALUATOR, VISBACKENDS
from mmengine.runner import get_priority
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from mmdistill.components import check_component, check_spelling, resolve
from mmdistill.config import member_names
from mmdistill.errors import DistillError
from mmdistill.registry import HOOKS, LOOPS, METRICS, MODELS, VISUALIZERS
from mmdistill.settings import (NO_SETTINGS, NonNegativeInt, PositiveInt, check_settings, check_value, nearest,
                                parameters)
from .attempts import attempt, errors_at

Scope = Mapping[str, str]
_PLAIN = {*inspect.signature(DataLoader).parameters} - {'dataset', 'sampler', 'batch_sampler', 'collate_fn',
                                                        'worker_init_fn'}
_LOADER_KEYS = {*inspect.signature(DataLoader).parameters, 'num_batch_per_epoch'}


def check_loader(cfg: Any, where: str, scope: Optional[Scope] = None) -> None:
    """Check a dataloader, except its dataset and the functions that it calls."""
    check_value(where, cfg, dict)
    for key in cfg:
        if key not in _LOADER_KEYS:
            raise DistillError(f'{where}.{key}: unknown setting{nearest(key, _LOADER_KEYS)}')
    check_value(f'{where}.batch_size', cfg.get('batch_size', 1), PositiveInt)
    check_value(f'{where}.num_workers', cfg.get('num_workers', 0), NonNegativeInt)
    if 'dataset' not in cfg:
        raise DistillError(f'{where}.dataset: the real dataset is missing: give it dict(type=..., data_root=...)')
    for key, provided in dict(sampler=('dataset', 'seed'), batch_sampler=('sampler', 'batch_size')).items():
        if isinstance(cfg.get(key), Mapping):
            check_component({**(scope or {}), **cfg[key]}, DATA_SAMPLERS, f'{where}.{key}', provided)
    data: Any = [0]
    attempt(lambda settings: DataLoader(data, **settings), {key: cfg[key] for key in _PLAIN & {*cfg}}, where)


def check_loop(cfg: Any, where: str, default: str, provided: Collection[str], scope: Scope) -> None:
    """Check the config of a loop; without a type, it is that of ``default``."""
    check_value(where, cfg, dict)
    check_component({**scope, 'type': default, **cfg}, LOOPS, where, provided)
    for key, hint in dict(max_iters=PositiveInt, max_epochs=PositiveInt, val_interval=PositiveInt,
                          val_begin=NonNegativeInt).items():
        if key in cfg:
            check_value(f'{where}.{key}', cfg[key], hint)


def incomplete_loop(cfg: Mapping[str, Any], *keys: str) -> Optional[str]:
    """Text about the ``keys`` of a loop if MMEngine's runner refuses them, since only some are set; else None."""
    missing = [key for key in keys if cfg.get(key) is None]
    if not 0 < len(missing) < len(keys):
        return None
    return f'{next(key for key in keys if key not in missing)}: MMEngine also needs {", ".join(missing)}'


def check_evaluator(cfg: Any, where: str, scope: Scope) -> None:
    """Check an evaluator: the config of a metric, a list of them, or ``dict(metrics=[...])``."""
    if isinstance(cfg, Mapping) and 'metrics' in cfg:
        resolve({**scope, 'type': 'Evaluator', **cfg}, EVALUATOR, where)
        cfg, where = cfg['metrics'], f'{where}.metrics'
    if not isinstance(cfg, (Mapping, list, tuple)):
        raise DistillError(f'{where}={cfg!r} has to be a metric, dict(type=..., ...), or a list of them')
    metrics = {where: cfg} if isinstance(cfg, Mapping) else {
        f'{where}.{name}': metric for name, metric in zip(member_names(cfg), cfg)}
    for place, metric in metrics.items():
        if not isinstance(metric, BaseMetric):
            check_component({**scope, **_mapping(metric, place)}, METRICS, place, values=False)


def check_visualizer(cfg: Any, scope: Scope) -> type:
    """Check the visualizer and its backends, and return its class."""
    if not cfg or isinstance(cfg, Visualizer):
        return type(cfg) if cfg else Visualizer
    settings = {**scope, **_mapping(cfg, 'visualizer')}
    component = check_component(settings, VISUALIZERS, 'visualizer', ('name', 'save_dir'), values=False)
    backends = cfg.get('vis_backends') or ()
    if not isinstance(backends, (list, tuple)):
        raise DistillError(f'visualizer.vis_backends={backends!r} has to be a list of dict(type=..., ...)')
    for name, backend in zip(member_names(backends), backends):
        where = f'visualizer.vis_backends.{name}'
        check_component({**scope, **_mapping(backend, where)}, VISBACKENDS, where, ('save_dir', ), values=False)
    return component if inspect.isclass(component) else Visualizer


def check_hooks(cfg: Mapping[str, Any], scope: Scope, kind: type = Visualizer) -> Iterator[Tuple[str, Any]]:
    """Check the default and custom hooks of a config, and build each.

    Args:
        cfg: The config.
        scope: ``dict(_scope_=...)`` with the default scope, or empty.
        kind: The class of the visualizer, for hooks that ask for the current one.

    Yields:
        Key of the hook in the config, and the hook.
    """
    listed, default = cfg.get('custom_hooks') or [], cfg.get('default_hooks') or {}
    if not isinstance(listed, (list, tuple)):
        raise DistillError('custom_hooks: give it a list of dict(type=..., ...)')
    check_value('default_hooks', default, dict)
    hooks = [(f'custom_hooks.{name}', hook) for name, hook in zip(member_names(listed), listed)]
    hooks += [(f'default_hooks.{name}', hook) for name, hook in default.items() if hook is not None]
    with _current(kind):
        for where, hook in hooks:
            yield where, hook if isinstance(hook, Hook) else _built(hook, where, scope)


def _built(hook: Any, where: str, scope: Scope) -> Hook:
    settings = {**scope, **{key: value for key, value in _mapping(hook, where).items() if key != 'priority'}}
    component = check_component(settings, HOOKS, where)
    check_spelling(settings, {*parameters(component), *NO_SETTINGS}, f'{where}.')  # those with **kwargs
    if 'priority' in hook:
        with errors_at(f'{where}.priority={hook["priority"]!r}'):
            get_priority(hook['priority'])
    settings.setdefault('_scope_', HOOKS.scope)
    if not (inspect.isclass(component) and issubclass(component, EMAHook)):
        return attempt(HOOKS.build, settings, where)

    def build(settings: Dict[str, Any]) -> Hook:
        hook: Any = HOOKS.build(settings)
        average = MODELS.get(hook.ema_cfg['type'])
        if average is not None:
            check_settings(average, hook.ema_cfg, where, ('model', ))
        hook.before_run(SimpleNamespace(model=torch.nn.Linear(1, 1)))
        return hook

    return attempt(build, settings, where)


@contextmanager
def _current(kind: type) -> Iterator[None]:
    """Context with a current visualizer of this class."""
    visualizer: Any = object.__new__(kind)
    name = 'mmdistill'
    holders: Any = {kind, Visualizer}
    for holder in holders:
        holder._instance_dict[name] = visualizer
    try:
        yield
    finally:
        for holder in holders:
            holder._instance_dict.pop(name)


def _mapping(cfg: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(cfg, Mapping):
        raise DistillError(f'{where}={cfg!r} has to be a dict with a type: {where}=dict(type=..., ...)')
    return cfg
