"""Checks of the optimizer and the schedulers of a training, with one step on a parameter."""
import inspect
from typing import Any, Dict, List, Mapping, Tuple

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper, _ParamScheduler
from mmengine.registry import OPTIMIZERS, PARAM_SCHEDULERS

from mmdistill.components import check_component
from mmdistill.config import member_names
from mmdistill.errors import DistillError
from mmdistill.registry import OPTIM_WRAPPERS
from mmdistill.settings import check_value, parameters
from .attempts import attempt

_OF_THE_MODEL = ('optimizer', 'constructor', 'paramwise_cfg')  # need the parameters of the model
_OF_MMENGINE = ('convert_to_iter_based', 'by_epoch')


def check_optimization(cfg: Mapping[str, Any], scope: Mapping[str, str]) -> None:
    """Check ``optim_wrapper`` and ``param_scheduler`` of a training; several optimizers are not checked.

    Args:
        cfg: The config.
        scope: ``dict(_scope_=...)`` with the default scope, or empty.

    Raises:
        DistillError: A setting is wrong, or the optimizer cannot make a step.
    """
    wrapper = cfg['optim_wrapper']
    if isinstance(wrapper, OptimWrapper):
        return
    check_value('optim_wrapper', wrapper, dict)
    if (optimizer := wrapper.get('optimizer')) is None or isinstance(optimizer, torch.optim.Optimizer):
        return
    weights = [torch.nn.Parameter(torch.ones(2, 2))]
    check_component(_settings(scope, optimizer), OPTIMIZERS, 'optim_wrapper.optimizer', ('params', ), values=False)
    built = attempt(lambda settings: OPTIMIZERS.build({**settings, 'params': weights}), _settings(scope, optimizer),
                    'optim_wrapper.optimizer')
    settings = {key: value for key, value in wrapper.items() if key not in _OF_THE_MODEL}
    settings = {**scope, 'type': 'OptimWrapper', **settings}
    component = check_component(settings, OPTIM_WRAPPERS, 'optim_wrapper', ('optimizer', ), values=False)
    if not (inspect.isclass(component) and issubclass(component, OptimWrapper)):
        return
    if issubclass(component, AmpOptimWrapper):  # needs a GPU
        settings = {key: value for key, value in settings.items() if key in parameters(OptimWrapper)}
        settings['type'] = 'OptimWrapper'

    def step(settings: Dict[str, Any]) -> OptimWrapper:
        wrapped = OPTIM_WRAPPERS.build({**settings, 'optimizer': built})
        weights[0].grad = torch.ones(2, 2)
        if wrapped.clip_grad_kwargs:
            wrapped._clip_grad()
        built.step()
        return wrapped

    _check_schedulers(cfg.get('param_scheduler'), scope, attempt(step, settings, 'optim_wrapper'),
                      cfg.get('train_cfg') or {})


def _check_schedulers(schedulers: Any, scope: Mapping[str, str], wrapped: OptimWrapper, loop: Mapping[str, Any]
                      ) -> None:
    if schedulers is None or isinstance(schedulers, Mapping) and 'type' not in schedulers:
        return  # a dict for several optimizers
    if not isinstance(schedulers, (list, tuple, Mapping)):
        raise DistillError(f'param_scheduler={schedulers!r} has to be a list of dict(type=..., ...)')
    listed: List[Tuple[str, Any]] = [('param_scheduler', schedulers)] if isinstance(schedulers, Mapping) else [
        (f'param_scheduler.{name}', member) for name, member in zip(member_names(schedulers), schedulers)]
    for where, scheduler in listed:
        if isinstance(scheduler, _ParamScheduler):
            continue
        settings = _settings(scope, scheduler)
        known = {key: value for key, value in settings.items() if key not in _OF_MMENGINE}
        check_component(known, PARAM_SCHEDULERS, where, ('optimizer', 'param_name'), values=False)
        _check_begin(settings, loop, where)
        # The length of an epoch is not known yet.
        attempt(lambda settings: PARAM_SCHEDULERS.build({'epoch_length': 100, **settings, 'optimizer': wrapped}),
                settings, where)


def _check_begin(scheduler: Mapping[str, Any], loop: Mapping[str, Any], where: str) -> None:
    """Raise a DistillError if a scheduler would begin after the end of the training, which MMEngine sets as its end."""
    length = 'max_epochs' if scheduler.get('by_epoch', True) else 'max_iters'
    begin, last = scheduler.get('begin', 0), loop.get(length)
    if scheduler.get('end') is None and isinstance(begin, int) and isinstance(last, int) and begin >= last > 0:
        raise DistillError(f'{where}.begin={begin}, but train_cfg.{length}={last}: decrease begin, or train longer')


def _settings(scope: Mapping[str, str], cfg: Any) -> Any:
    return {**scope, **cfg} if isinstance(cfg, Mapping) else cfg
