"""Checks of objectives and label cleaners, the parts of a run that need resources."""
from typing import Any, List, Mapping, Sequence, Tuple

from mmdistill.components import check_component, resolve
from mmdistill.config import type_name
from mmdistill.errors import DistillError
from mmdistill.registry import GUIDANCES, LazyRegistry
from mmdistill.settings import check_settings
from mmdistill.tasks.base import Task
from mmdistill.tasks.resources import declared_needs


def check_distinct(parts: Sequence[dict], where: str) -> None:
    """Raise a DistillError if two parts of the list at key ``where`` have the same type."""
    names = [type_name(cfg) for cfg in parts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DistillError(f'{where}: {twice} is listed twice: remove one of them')


def check_part(cfg: Mapping[str, Any], registry: LazyRegistry, task: Task, where: str) -> Tuple[str, List[str]]:
    """Check the config of a part that needs resources. Returns its name and the names of the resources."""
    part = resolve(cfg, registry, where)
    task.check_annotation(part, where, registry)
    needed = declared_needs(part)
    taken = {key for keys in needed.values() for key in keys}
    check_component({key: value for key, value in cfg.items() if key not in taken}, registry, where, needed)
    for name, keys in needed.items():
        resource = getattr(task.resources, name, lambda **settings: None)  # Resources.check rejects unknown names
        check_settings(resource, {key: cfg[key] for key in keys if key in cfg}, where, ('self', ))
    return part.__name__, list(needed)


def check_role(cfg: Mapping[str, Any], where: str, generator: Mapping[str, Any]) -> None:
    """Raise a DistillError if an objective is used as ``semantic`` or the other way round, or if it reads inner layers
    of a compiled network."""
    component, name = resolve(cfg, GUIDANCES, where), type_name(cfg)
    objective, asked = hasattr(component, 'space'), not where.endswith('.semantic')
    if asked and not objective:
        raise DistillError(f"{where}: {name} has no attribute space, so it is not an objective: if it changes the "
                           f"condition set semantic=dict(type='{name}'), else give the class space and weight")
    if objective and not asked:
        raise DistillError(f'{where}: {name} is an objective and does not change the condition: move it to objectives')
    if getattr(component, 'reads_network', False) and generator.get('compile'):
        raise DistillError(f'{where}: {name} reads inner layers of the network, which is not possible in a compiled '
                           'network: remove model.generator.compile')
