"""Components of a config: resolved in their registry and checked before anything is built."""
import difflib
import inspect
from contextlib import nullcontext, suppress
from typing import Any, Callable, Collection, Iterable, Mapping, Set

from mmengine.registry import Registry

from .errors import DistillError
from .registry import LazyRegistry
from .settings import NO_SETTINGS, check_settings, nearest


def check_component(cfg: Any, registry: Registry, where: str, given: Collection[str] = ()) -> Callable:
    """Resolve the ``type`` of a component and check its settings; nothing is built.

    A class with a class method ``check(settings, where)`` checks what its signature cannot say, such as settings that
    have to fit each other.

    For the arguments and the result see :func:`resolve` and :func:`~mmdistill.settings.check_settings`.

    Raises:
        DistillError: The type is unknown, or a setting is unknown, missing, or of the wrong type or range.
    """
    component = resolve(cfg, registry, where)
    settings = {key: value for key, value in cfg.items() if key not in NO_SETTINGS}
    check_settings(component, settings, where, given)
    if callable(check := getattr(component, 'check', None)) and inspect.ismethod(check):
        check(settings, where)
    return component


def resolve(cfg: Any, registry: Registry, where: str) -> Callable:
    """The class, or function, that the ``type`` of a config names.

    A name may have the scope of an OpenMMLab package before it; the ``type`` may also be the class itself.

    Raises:
        DistillError: There is no ``type``, it is unknown, or a package that it needs is not installed; the message
            names the key ``where`` of the config, such as ``'model.generator'``.
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
    except (RuntimeError, ImportError):  # MMEngine's, for a name that it does not know
        component = None
    if not callable(component):
        raise DistillError(f'{where}.type={name!r} is unknown in registry {registry.name!r}'
                           f'{_suggestion(full, registry)}')
    return component


def check_spelling(keys: Iterable[str], known: Collection[str], where: str = '') -> None:
    """Refuse a key of a config that looks like a misspelt known one; configs may define any other variable."""
    for key in keys:
        near = [] if key in known else difflib.get_close_matches(key, sorted(known), 1, 0.8)
        if near and abs(len(near[0]) - len(key)) <= 2:
            raise DistillError(f'{where}{key}: unknown key of the config; did you mean {near[0]}?')


def _suggestion(name: str, registry: Registry) -> str:
    """The nearest known name; without a scope also that of the same name in an OpenMMLab package."""
    for scope in ('mmseg', 'mmpretrain') if '.' not in name else ():
        with suppress(Exception):
            if registry.get(f'{scope}.{name}') is not None:
                return f'; did you mean {scope}.{name}?'
    return nearest(name, _names(registry, name.rpartition('.')[0]))


def _names(registry: Registry, scope: str) -> Set[str]:
    """Names that a registry knows, as a config writes them: its own and its parents', or with their scope."""
    chain = [registry]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    own = {name for one in chain for name in (one.names() if isinstance(one, LazyRegistry) else one.module_dict)}
    if not scope:
        return own
    return {f'{registry.scope}.{name}' for name in own} | {
        f'{child}.{name}' for child, one in chain[-1].children.items() for name in one.module_dict}
