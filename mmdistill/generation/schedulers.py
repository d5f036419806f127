"""Schedulers that support guidance in the denoising loop."""
from pathlib import Path
from typing import Any, Dict, Optional, Union

from diffusers import (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler,
                       UniPCMultistepScheduler)

from ..errors import DistillError
from ..settings import check_settings, nearest, parameters
from ..weights.configs import class_in, config_errors, read_config

#: The schedulers that can be guided through their clean prediction x0.
SCHEDULERS = (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler,
              FlowMatchEulerDiscreteScheduler)

SchedulerConfig = Union[None, str, Dict[str, Any]]


def scheduler_class(name: str, where: str = 'scheduler') -> Any:
    """The scheduler class with this name; raises a DistillError if it is not allowed."""
    known = {allowed.__name__: allowed for allowed in SCHEDULERS}
    if name not in known:
        raise DistillError(f'{where}: {name} cannot be guided: set scheduler to one of {", ".join(known)}')
    return known[name]


def check_scheduler(scheduler: SchedulerConfig, where: str, default: Optional[str] = None) -> None:
    """Raise a DistillError if a scheduler cannot be guided, or a setting is unknown or of the wrong type.

    Args:
        scheduler: See :func:`load_scheduler`.
        where: Key of the scheduler in the config.
        default: Class name, if ``scheduler`` has none; None: any allowed class.
    """
    settings = dict(type=scheduler) if isinstance(scheduler, str) else dict(scheduler or {})
    name = settings.pop('type', default)
    known = (scheduler_class(name, where), ) if name else SCHEDULERS
    nearest_class = max(known, key=lambda cls: sum('mean' in nearest(key, parameters(cls)) for key in settings))
    check_settings(nearest_class, settings, where)


def load_scheduler(folder: Path, scheduler: SchedulerConfig = None) -> Any:
    """Load the scheduler in ``folder/scheduler``, or another one with the same noise levels.

    If the class differs, ``timestep_spacing`` is not taken from the folder: with 'leading', the default of training
    schedulers, a solver with few steps would start far from pure noise.

    Args:
        folder: A diffusers folder.
        scheduler: None for the folder's scheduler, a class name, or ``dict(type=name, key=value, …)``.

    Raises:
        DistillError: The config cannot be read, or the scheduler is not allowed.
    """
    changes = dict(type=scheduler) if isinstance(scheduler, str) else dict(scheduler or {})
    config = read_config(folder, 'scheduler/scheduler_config.json')
    name = class_in(config)
    check_scheduler(scheduler, 'scheduler', name)
    cls = scheduler_class(changes.pop('type', name))
    if cls.__name__ != name:
        config.pop('timestep_spacing', None)
    with config_errors(f'scheduler/scheduler_config.json in {folder}'):
        return cls.from_config(config, **changes)
