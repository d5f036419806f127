"""Checks the settings of components against their signatures, before anything is built.

The annotations of a constructor are its schema: types, ``Literal`` choices and :class:`Range` in ``Annotated``. Configs
are checked with :func:`check_settings`, and arguments of constructors with :func:`validated`.
"""
import collections.abc
import inspect
import math
import numbers
import types
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache, wraps
from typing import (Annotated, Any, Callable, Collection, Dict, Iterable, List, Literal, Mapping, Tuple, TypeVar,
                    Union, get_args, get_origin, get_type_hints)

from .errors import DistillError

F = TypeVar('F', bound=Callable)
NO_SETTINGS = ('type', '_scope_', '_delete_')  # keys in a component's config that are not arguments


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``. ``above=True`` excludes ``low``, and ``below=True`` excludes ``high``."""
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: Any) -> bool:
        return (value > self.low if self.above else value >= self.low) and (
            value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            text = f'above {self.low:g}' if self.above else f'at least {self.low:g}'
            return f'{text} and finite' if self.below else text
        return f'in {"(" if self.above else "["}{self.low:g}, {self.high:g}{")" if self.below else "]"}'


PositiveInt = Annotated[int, Range(1)]
NonNegativeInt = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]


def closest(name: Any, names: Iterable[str]) -> str:
    """The most similar known name; '' if none is similar."""
    return next(iter(get_close_matches(str(name), sorted(names), 1, 0.6)), '')


def nearest(name: Any, names: Iterable[str]) -> str:
    """``'; did you mean X?'`` with the most similar known name; if there is none, the list of up to 12 names."""
    known = sorted(names)
    if close := closest(name, known):
        return f'; did you mean {close}?'
    return f'; known: {", ".join(known)}' if known and len(known) <= 12 else ''


def check_value(where: str, value: Any, hint: Any) -> None:
    """Raise a DistillError if a value does not match an annotation.

    Args:
        where: Name of the setting in messages.
        value: Its value.
        hint: A type, ``Optional``, ``Union``, ``Literal``, ``Annotated`` with a :class:`Range`, or a sequence, tuple or
            mapping of these. Values with other annotations are not checked.
    """
    if problem := _problem(value, hint):
        shown = repr(value)
        raise DistillError(f'{where}={shown if len(shown) <= 60 else shown[:57] + "..."} {problem}')


def parameters(component: Callable) -> Dict[str, Tuple[inspect.Parameter, Any]]:
    """The settings of a component, with their annotations.

    ``**kwargs`` are resolved in the base classes and in the classes returned by a class method ``forwards_to``. A
    config calls ``from_pretrained(weights, ...)`` if a class has it; then the settings also include the keyword-only
    arguments of the constructor, whose other arguments are modules. Only the first signature with named arguments
    determines the required settings.

    Returns:
        Name → (parameter, annotation).
    """
    found: Dict[str, Tuple[inspect.Parameter, Any]] = {}
    first = None
    for chain in map(_signatures, [component, *getattr(component, 'forwards_to', list)()]):
        for function, bound, modules in chain:
            arguments, hints = list(inspect.signature(function).parameters.values())[bound:], _hints(function)
            for parameter in arguments:
                plain = parameter.kind is parameter.POSITIONAL_OR_KEYWORD and not modules
                if plain or parameter.kind is parameter.KEYWORD_ONLY:
                    first = first or function
                    if function is not first and parameter.default is parameter.empty:
                        parameter = parameter.replace(default=None)
                    found.setdefault(parameter.name, (parameter, hints.get(parameter.name, Any)))
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in arguments):
                break
    return found


def setting(component: Callable, settings: Mapping[str, Any], name: str) -> Any:
    """The value of a component's setting ``name`` in a config, or its default."""
    return settings.get(name, parameters(component)[name][0].default)


def is_open(component: Callable) -> bool:
    """Whether a component takes arbitrary ``**kwargs``, which are not resolved by base classes or ``forwards_to``."""
    functions = [function for function, _, _ in _signatures(component)]
    return bool(functions) and not hasattr(component, 'forwards_to') and all(
        any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(function).parameters.values())
        for function in functions)


def check_settings(component: Callable, settings: Mapping[str, Any], where: str, provided: Collection[str] = (),
                   values: bool = True) -> None:
    """Check the settings in a config against the signature of a class or function.

    Args:
        component: The class or function.
        settings: The settings, possibly with ``type`` and ``_scope_``.
        where: Key of the component in the config.
        provided: Parameters that come from elsewhere, so that the config may omit them.
        values: Whether to check the values too; False for classes with wrong annotations.

    Raises:
        DistillError: A setting is unknown or missing, or a value has a wrong type or range.
    """
    known, name = parameters(component), getattr(component, '__name__', str(component))
    for key, value in settings.items():
        if key in NO_SETTINGS or key not in known and is_open(component):
            continue
        if key not in known:
            raise DistillError(f'{where}.{key}: unknown setting of {name}{nearest(key, known)}')
        parameter, hint = known[key]
        if values and value is not parameter.default:  # defaults of other packages may not match their annotations
            check_value(f'{where}.{key}', value, hint)
    for key, (parameter, _) in known.items():
        if parameter.default is parameter.empty and key not in settings and key not in provided:
            raise DistillError(f'{where}: {name} needs {key}: add it')


def validated(function: F) -> F:
    """Decorator: check the arguments of a constructor against its annotations before it runs."""
    signature, hints = inspect.signature(function), _hints(function)

    @wraps(function)
    def wrapper(self, *args, **kwargs):
        for name, value in signature.bind(self, *args, **kwargs).arguments.items():
            if name in hints and signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD:
                check_value(f'{type(self).__name__}: {name}', value, hints[name])
        return function(self, *args, **kwargs)

    return wrapper  # type: ignore[return-value]


def loader(component: Any) -> Callable:
    """The function that builds a component from a config: ``from_pretrained(weights, ...)`` if it has this method,
    otherwise the component itself."""
    loads = getattr(component, 'from_pretrained', None) if inspect.isclass(component) else None
    return loads if loads is not None and 'weights' in inspect.signature(loads).parameters else component


def _signatures(component: Callable) -> List[Tuple[Callable, bool, bool]]:
    """The functions that take a component's settings, as (function, whether the first parameter is bound, whether
    positional parameters are modules)."""
    if not inspect.isclass(component):
        return [(component, False, False)]
    loads = [] if loader(component) is component else [
        vars(base)['from_pretrained'].__func__ for base in component.__mro__
        if isinstance(vars(base).get('from_pretrained'), classmethod)]
    inits = [(vars(base)['__init__'], True, bool(loads)) for base in component.__mro__
             if '__init__' in vars(base) and base is not object]
    return [(load, True, False) for load in loads] + inits


@lru_cache(maxsize=None)
def _hints(function: Callable) -> Dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):  # annotations of other packages that cannot be resolved
        return {}


def _problem(value: Any, hint: Any) -> str:
    """What is wrong with a value; '' if nothing is."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _problem(value, args[0]) or _range_problem(value, args[1:])
    if origin in (Union, types.UnionType):
        return _union_problem(value, args)
    if origin is Literal:
        known = any(value is arg or value == arg and not isinstance(value, bool) for arg in args)
        return '' if known else f'is unknown: set it to {" or ".join(map(repr, args))}'
    base = origin or hint
    if base in _SEQUENCES:
        return _sequence_problem(value, base, args, hint)
    return '' if base not in _PLAIN or _PLAIN[base][1](value) else f'has to be {_PLAIN[base][0]}'


_OUTSIDE = 'is out of range: it has to be '
_SEQUENCES = (tuple, list, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_PLAIN: Dict[Any, Tuple[str, Callable[[Any], bool]]] = {  # type → (its description, test of a value)
    bool: ('True or False', lambda value: isinstance(value, bool)),
    int: ('a whole number', lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool)),
    float: ('a number',
            lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool) and not math.isnan(value)),
    str: ('a string', lambda value: isinstance(value, str)),
    type(None): ('None', lambda value: value is None),
    **dict.fromkeys(_MAPPINGS, ('a dict', lambda value: isinstance(value, Mapping)))}


def _range_problem(value: Any, extras: Tuple) -> str:
    bounds = [extra for extra in extras if isinstance(extra, Range) and value is not None and value not in extra]
    return f'{_OUTSIDE}{bounds[0]}' if bounds else ''


def _union_problem(value: Any, args: Tuple) -> str:
    found = [_problem(value, arg) for arg in args]
    if '' in found:
        return ''
    precise = [text for text in found if 'range' in text or 'an item' in text]
    if not precise:
        return f'has to be {_describe(Union[args])}'
    if 'an item' in precise[0]:
        return precise[0]
    others = [_describe(arg) for arg, text in zip(args, found) if text not in precise and arg is not type(None)]
    return ', or '.join([precise[0], *(text.removeprefix(_OUTSIDE) for text in precise[1:]), *others])


def _sequence_problem(value: Any, base: Any, args: Tuple, hint: Any) -> str:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, collections.abc.Iterable):
        return f'has to be {_describe(hint)}'
    if not isinstance(value, (list, tuple)):
        return ''  # arrays, ranges
    if base is tuple and args and args[-1] is not Ellipsis:
        if len(value) != len(args):
            return f'has to be {_describe(hint)}'
        pairs = list(zip(value, args))
    else:
        pairs = [(item, args[0]) for item in value] if args else []
    return next((f'has an item {item!r} that {wrong}' for item, arg in pairs if (wrong := _problem(item, arg))), '')


def _describe(hint: Any) -> str:
    """An annotation in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _describe(args[0])
    if origin is Literal:
        return ' or '.join(map(repr, args))
    if origin in (Union, types.UnionType):
        words = list(dict.fromkeys(map(_describe, args)))
        words = [word for word in words if word != 'a whole number' or 'a number' not in words]
        return ' or '.join(filter(None, [', '.join(words[:-1]), words[-1]]))
    base = origin or hint
    if base in _PLAIN:
        return _PLAIN[base][0]
    if base is tuple and args and args[-1] is not Ellipsis:
        return f'{len(args)} values'
    return 'a list' if base in _SEQUENCES else str(hint)
