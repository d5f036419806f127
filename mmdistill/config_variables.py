"""Finds variables that a config changes without effect, because MMEngine copied their values from a base config."""
import os.path as osp
from typing import Collection, List

from mmengine.config import Config

from .config import RUNNER_KEYS, config_path, copies_of, read_config, without_scope


def unused_variables(path: str, cfg: Config, known: Collection[str] = ()) -> List[str]:
    """Texts about variables of a base config that a config sets, while every copy of them has the old value.

    Args:
        path: The config, as in :func:`~mmdistill.config.read_config`.
        cfg: Its content.
        known: Top-level keys that are read in addition to the keys of MMEngine's runner.

    Returns:
        One text for each variable.

    Example:
        >>> from mmdistill.config import read_config
        >>> unused_variables('d3s2_streets-64px', read_config('d3s2_streets-64px'))
        []
    """
    file, found = str(config_path(path)), []
    for base in Config._get_base_files(file):
        base_path, scope = Config._get_cfg_path(base, file)
        old = read_config(base_path)
        for name in sorted({*old} & {*cfg} - RUNNER_KEYS - {*known}):
            inherited = without_scope(cfg[name], scope or '') == without_scope(old[name], scope or '')
            if inherited or copies_of(cfg, name, cfg[name]):
                continue
            before, now = copies_of(old, name, old[name]), copies_of(cfg, name, old[name])
            if kept := [place for place in before if place in now]:
                found.append(f'{name} has no effect: MMEngine copied it in {osp.normpath(base_path)}, and {kept[0]} '
                             'still has the value from there: set that')
    return found
