"""Describes which settings of two configs differ."""
import json
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from .config import member_names, type_name

_ABSENT = object()
_SHOWN, _WIDTH = 3, 60  # settings named in a message, characters of a value


def json_values(settings: Any) -> Any:
    """Settings as JSON values with sorted keys, as they are stored and compared."""
    return json.loads(json.dumps(settings, sort_keys=True, default=str))


def differing(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> str:
    """Text with the first few settings that differ and both values; '' if none differs.

    Args:
        old: Stored settings, by key.
        new: Settings of the config.
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
    before, after = _members(old, new), _members(new, old)
    if old == new:
        return
    if before is None or after is None or before.get('type') != after.get('type'):
        yield key, old, new
        return
    for name in dict.fromkeys([*after, *before]):
        yield from _differences(before.get(name, _ABSENT), after.get(name, _ABSENT), f'{key}.{name}'.lstrip('.'))


def _members(value: Any, other: Any) -> Optional[Dict[str, Any]]:
    """Members by name of a dict (None is an empty dict if ``other`` is one), or of a list like ``other``; else None."""
    if isinstance(value, dict) or value is None and isinstance(other, dict):
        return value or {}
    if isinstance(value, list) and isinstance(other, list) and member_names(value) == member_names(other):
        return dict(zip(member_names(value), value)) if all(map(type_name, value)) else None
    return None


def _shown(value: Any) -> str:
    text = 'not set' if value is _ABSENT else repr(value)
    return text if len(text) <= _WIDTH else f'{text[:_WIDTH - 3]}...'
