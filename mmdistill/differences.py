"""Says which settings of two configs differ."""
import json
from typing import Any, Iterator, Mapping, Tuple

from .config import member_names

_ABSENT = object()
_SHOWN, _WIDTH = 3, 60  # settings named in a message, characters of a value


def json_values(settings: Any) -> Any:
    """Settings as JSON values with sorted keys, as they are stored and compared."""
    return json.loads(json.dumps(settings, sort_keys=True, default=str))


def differing(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> str:
    """Text with the first few settings that differ and both values; '' if none does.

    Args:
        old: Settings that were stored, by key.
        new: Those of the config.
        place: Where ``old`` is stored, for the text.

    Example:
        >>> differing(dict(model=dict(steps=5), seed=0), dict(model=dict(steps=9), seed=0), 'the plan')
        'model.steps is 5 in the plan and 9 in the config'
    """
    found = list(_differences(json_values(old), json_values(new), ''))
    texts = [f'{key} is {_shown(before)} in {place} and {_shown(after)} in the config'
             for key, before, after in found[:_SHOWN]]
    more = len(found) - _SHOWN
    return '; '.join([*texts, *([f'{more} more settings differ' if more > 1 else '1 more setting differs']
                                if more > 0 else [])])


def _differences(old: Any, new: Any, key: str) -> Iterator[Tuple[str, Any, Any]]:
    """Yield key, old and new value of each setting that differs; members of lists are named by their types."""
    if isinstance(old, dict) and new is None or isinstance(new, dict) and old is None:
        old, new = old or {}, new or {}
    if isinstance(old, dict) and isinstance(new, dict) and old.get('type') == new.get('type'):
        for name in dict.fromkeys([*new, *old]):
            yield from _differences(old.get(name, _ABSENT), new.get(name, _ABSENT), f'{key}.{name}'.lstrip('.'))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and all(
            isinstance(member, dict) for member in [*old, *new]) and member_names(old) == member_names(new):
        for name, before, after in zip(member_names(new), old, new):
            yield from _differences(before, after, f'{key}.{name}')
    elif old != new:
        yield key, old, new


def _shown(value: Any) -> str:
    text = 'not set' if value is _ABSENT else repr(value)
    return text if len(text) <= _WIDTH else f'{text[:_WIDTH - 3]}...'
