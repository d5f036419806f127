"""JSON files that people send to each other, such as plans and manifests: nothing in them is trusted."""
import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple, Union, get_args, get_origin, get_type_hints, is_typeddict
from unicodedata import category

from .errors import DistillError
from .files import open_regular
from .settings import check_value

_MOST_BYTES = 1 << 30  # of a file: that of a million images has half of it
_LONGEST_NAME, _LONGEST_PATH = 255, 1024  # bytes, characters


def read_file(path: Any) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: It cannot be read, or is a pipe or a device.
        ValueError: It is a folder, or larger than 1 GiB.
    """
    if Path(path).is_dir():
        raise ValueError('it is a folder')
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size > _MOST_BYTES:
            raise ValueError(f'it is larger than {_MOST_BYTES >> 20} MiB')
        return stream.read()


def read_document(path: Any) -> Dict[str, Any]:
    """The object of a JSON file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is larger than 1 GiB, no JSON, nested too deep, or no object.
    """
    try:
        found = json.loads(read_file(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    except RecursionError:
        raise ValueError('it is nested too deep') from None
    if not isinstance(found, dict):
        raise ValueError('it is no JSON object')
    return found


def check_record(values: Any, record: type, where: str = '') -> None:
    """Check that ``values`` has the fields of ``record``, a dataclass or a ``TypedDict``, each of its annotation.

    Lists and dicts of records are checked item by item. More fields than those of a ``TypedDict`` are allowed.

    Raises:
        ValueError: A field is missing, unknown to a dataclass, or of another type or range; it names the field.
    """
    if not isinstance(values, dict):
        raise ValueError(f'{where or "it"} is no object')
    hints = get_type_hints(record, include_extras=True)
    if is_typeddict(record):
        required = record.__required_keys__  # type: ignore[attr-defined]
    else:
        fields = dataclasses.fields(record)  # type: ignore[arg-type]
        required = {one.name for one in fields
                    if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING}
        if unknown := sorted(values.keys() - {one.name for one in fields}):
            raise ValueError(f'{_place(where, unknown[0])} is unknown')
    if missing := sorted(required - values.keys()):
        raise ValueError(f'{_place(where, missing[0])} is missing')
    for name, hint in hints.items():
        if name in values:
            _check(values[name], hint, _place(where, name))


def check_paths(*paths: Any) -> None:
    """Raise a ValueError for a path that could leave the folder that it is relative to, or that no file can have."""
    for path in paths:
        if not is_plain(path):
            raise ValueError(f'{_short(path)} is no path of plain names inside the folder')


def is_plain(path: Any) -> bool:
    """Whether ``path`` is one or several names joined by ``/``, such as files can have: no ``.``, ``..``, or root."""
    if not isinstance(path, str) or '\\' in path or any(category(letter) in ('Cc', 'Cs') for letter in path):
        return False
    parts = [part.encode(errors='replace') for part in path.split('/')]
    return len(path) <= _LONGEST_PATH and all(
        part not in (b'', b'.', b'..') and len(part) <= _LONGEST_NAME for part in parts)


def inside(root: Any, name: str) -> Path:
    """The file ``name`` below the folder ``root``; a DistillError where it, or a link on its way, leads out of it, or
    where it is a folder, a pipe or a device."""
    path = Path(root, name)
    if not is_plain(name) or not path.resolve().is_relative_to(Path(root).resolve()):
        raise DistillError(f'{_short(name)} leads out of {root}: the files of a set have to lie in its folder')
    if path.exists() and not path.is_file():
        raise DistillError(f'{_short(name)} in {root} is no regular file: remove it')
    return path


def _check(value: Any, hint: Any, where: str) -> None:
    if _is_record(hint):
        check_record(value, hint, where)
        return
    try:
        check_value(where, value, hint)
    except DistillError as error:
        raise ValueError(str(error)) from None
    for name, part, kind in _parts(value, hint):
        _check(part, kind, where if name is None else _place(where, name))


def _parts(value: Any, hint: Any) -> Iterator[Tuple[Any, Any, Any]]:
    """Name, value and annotation of what is inside a value and is not checked with the whole."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Union:
        kinds = [arg for arg in args if arg is not type(None)]
        if value is not None and len(kinds) == 1:
            yield None, value, kinds[0]
    elif origin in (list, tuple) and _is_record(args[0]):
        yield from ((str(number), item, args[0]) for number, item in enumerate(value))
    elif origin is dict:
        yield from ((name, item, args[1]) for name, item in value.items())


def _is_record(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint) or is_typeddict(hint)


def _place(where: str, name: Any) -> str:
    return f'{where}.{_short(name)}' if where else _short(name)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
