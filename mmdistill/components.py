"""Resolves and checks the components of a config before anything is built."""
import difflib
import inspect
from contextlib import nullcontext, suppress
from typing import Any, Callable, Collection, Iterable, Mapping, Optional, Set

from mmengine import registry as registries
from mmengine.registry import Registry

from .config import member_names
from .errors import DistillError
from .registry import LazyRegistry
from .settings import NO_SETTINGS, check_settings, closest, nearest
from .weights.checkpoints import check_exists


def check_component(cfg: Any, registry: Registry, where: str, provided: Collection[str] = (), values: bool = True
                    ) -> Callable:
    """Resolve the ``type`` of a component and check its settings; nothing is built.

    If the class has a class method ``check(settings, where)``, it is called for checks beyond the signature, such as
    settings that must fit each other.

    For the arguments and the result, see :func:`resolve` and :func:`~mmdistill.settings.check_settings`.

    Raises:
        DistillError: The type is unknown, or a setting is unknown, missing, or of the wrong type or range.
    """
    component = resolve(cfg, registry, where)
    settings = {key: value for key, value in cfg.items() if key not in NO_SETTINGS}
    check_settings(component, settings, where, provided, values)
    if callable(check := getattr(component, 'check', None)) and inspect.ismethod(check):
        check(settings, where)
    return component


def check_parts(cfg: Any, registry: Registry, where: str) -> None:
    """Check the components of mmdistill (``type='mmdistill....'``) anywhere in the config of a component, and that its
    local checkpoints exist (``init_cfg=dict(type='Pretrained', checkpoint=...)``)."""
    if isinstance(cfg, Mapping):
        checkpoint = cfg.get('checkpoint') if cfg.get('type') == 'Pretrained' else None
        if isinstance(checkpoint, str):
            check_exists(checkpoint, f'{where}.checkpoint',
                         f'give the path or URL of weights, or set {where}=None to train from random ones')
        if str(cfg.get('type')).startswith('mmdistill.'):
            check_component(cfg, registry, where)
        for key, part in cfg.items():
            check_parts(part, registry, f'{where}.{key}')
    elif isinstance(cfg, (list, tuple)):
        for name, part in zip(member_names(cfg), cfg):
            check_parts(part, registry, f'{where}.{name}')


def resolve(cfg: Any, registry: Registry, where: str) -> Callable:
    """The class or function named by the ``type`` of a config.

    Args:
        cfg: The config of a component. Its ``type`` is a name, with or without the scope of an OpenMMLab package, or
            the class itself.
        registry: The registry in which the name is resolved.
        where: Key of the component in the config, such as ``'model.generator'``.

    Raises:
        DistillError: There is no ``type``, it is unknown, or it needs a package that is not installed.
    """
    if not isinstance(cfg, Mapping):
        raise DistillError(f'{where}={cfg!r} has to be a dict with a type: {where}=dict(type=..., ...)')
    if 'type' not in cfg:
        close = difflib.get_close_matches('type', map(str, cfg), 1, 0.6)
        raise DistillError(f'{where}: it has no type' + (f', but {close[0]!r}: rename it' if close else
                                                         f'{nearest("", _names(registry, ""))}'))
    name = cfg['type']
    if callable(name):
        return name
    if not isinstance(name, str) or not name:
        raise DistillError(f'{where}.type={name!r} has to be the name of a component, or a class')
    scope = cfg.get('_scope_')
    full = f'{scope}.{name}' if scope and scope != registry.scope and '.' not in name else name
    try:
        with registry.switch_scope_and_registry(scope) if scope else nullcontext(registry) as scoped:
            component = scoped.get(name)
    except ModuleNotFoundError as error:
        raise DistillError(f'{where}.type={name!r} needs {error.name}, which is not installed') from error
    except (RuntimeError, ImportError):  # raised by MMEngine for unknown names
        component = None
    if not callable(component):
        raise DistillError(f'{where}.type={name!r} is unknown in registry {registry.name!r}'
                           f'{_suggestion(full, registry)}')
    return component


def check_spelling(keys: Iterable[str], known: Collection[str], where: str = '') -> None:
    """Raise a DistillError for a key that looks like a misspelled known key. Other unknown keys are allowed, since
    configs may define variables."""
    for key in keys:
        near = [] if key in known else difflib.get_close_matches(key, sorted(known), 1, 0.8)
        if near and abs(len(near[0]) - len(key)) <= 2:
            raise DistillError(f'{where}{key}: unknown key of the config; did you mean {near[0]}?')


def similar(name: str, scope: Optional[str], registry: str) -> str:
    """``'; did you mean X?'`` for an unknown name in the registry of this name and scope; '' if none is similar."""
    root: Any = next((one for one in vars(registries).values() if isinstance(one, Registry) and one.name == registry),
                     None)
    known = _names(root.children.get(scope, root), '') if root is not None else ()
    return f'; did you mean {close}?' if (close := closest(name, known)) else ''


def _suggestion(name: str, registry: Registry) -> str:
    """Suggest the nearest known name, or the same name in an OpenMMLab package if the scope is missing."""
    for scope in ('mmseg', 'mmpretrain') if '.' not in name else ():
        with suppress(Exception):
            if registry.get(f'{scope}.{name}') is not None:
                return f'; did you mean {scope}.{name}?'
    scope, _, bare = name.rpartition('.')
    ordered = sorted(_names(registry, scope), key=lambda known: (known.startswith(f'{scope}.'), known))
    names = {known.rpartition('.')[2]: known for known in ordered}  # of equal names, that of the scope
    close = closest(bare, names)  # without the scope, which is always similar
    return f'; did you mean {names[close]}?' if close else nearest('', names.values())


def _names(registry: Registry, scope: str) -> Set[str]:
    """Names known to a registry, as written in configs: its own and its parents', or names with their scope."""
    chain = [registry]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    names = {name for one in chain for name in (one.names() if isinstance(one, LazyRegistry) else one.module_dict)}
    if not scope:
        return names
    return {f'{registry.scope}.{name}' for name in names} | {
        f'{child}.{name}' for child, one in chain[-1].children.items() for name in one.module_dict}
