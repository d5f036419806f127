"""Checks of the settings of MMEngine's runner that belong to no component."""
from dataclasses import dataclass, field
from typing import Any, Literal, Mapping, Optional

from mmdistill.errors import DistillError
from mmdistill.settings import NonNegativeInt, PositiveInt, check_settings, check_value


@dataclass
class Randomness:
    """``randomness``: arguments of ``Runner.set_randomness``."""
    seed: Optional[NonNegativeInt] = None
    diff_rank_seed: bool = False
    deterministic: bool = False


@dataclass
class Processes:
    """``env_cfg.mp_cfg``: arguments of ``mmengine.utils.dl_utils.set_multi_processing``."""
    mp_start_method: Optional[Literal['fork', 'spawn', 'forkserver']] = 'fork'
    opencv_num_threads: int = 0


@dataclass
class Environment:
    """``env_cfg``: what ``Runner.setup_env`` reads."""
    cudnn_benchmark: bool = False
    mp_cfg: dict = field(default_factory=dict)
    dist_cfg: dict = field(default_factory=dict)
    resource_limit: PositiveInt = 4096


@dataclass
class LearningRateScale:
    """``auto_scale_lr``: what ``Runner.scale_lr`` reads."""
    enable: bool = False
    base_batch_size: Optional[PositiveInt] = None


_VALUES = dict(resume=Optional[bool], load_from=Optional[str], experiment_name=Optional[str],
               default_scope=Optional[str], find_unused_parameters=Optional[bool])
_LEVEL = Optional[Literal['CRITICAL', 'ERROR', 'WARNING', 'INFO', 'DEBUG', 'NOTSET']]


def check_runtime(cfg: Mapping[str, Any]) -> None:
    """Check ``randomness``, ``env_cfg``, ``auto_scale_lr`` and the top-level keys of a config that hold one value.

    Raises:
        DistillError: A setting is unknown, or has a wrong type.
    """
    environment = cfg.get('env_cfg') or {}
    for key, hint in _VALUES.items():
        check_value(key, cfg.get(key), hint)
    for schema, where, settings in ((Randomness, 'randomness', cfg.get('randomness') or {}),
                                    (LearningRateScale, 'auto_scale_lr', cfg.get('auto_scale_lr') or {}),
                                    (Environment, 'env_cfg', environment),
                                    (Processes, 'env_cfg.mp_cfg', isinstance(environment, Mapping) and
                                     environment.get('mp_cfg') or {})):
        if not isinstance(settings, Mapping):
            raise DistillError(f'{where}={settings!r} has to be a dict')
        check_settings(schema, settings, where)
    check_value('log_level', cfg.get('log_level'), _LEVEL)
    timeout = (environment.get('dist_cfg') or {}).get('timeout')
    check_value('env_cfg.dist_cfg.timeout', timeout, Optional[PositiveInt])
