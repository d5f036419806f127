"""JSON files from other people, such as plans and manifests, whose content is not trusted."""
import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple, Union, get_args, get_origin, get_type_hints, is_typeddict
from unicodedata import category

from .errors import DistillError
from .files import open_regular
from .settings import check_value

_MOST_BYTES = 1 << 30  # maximum size of a file; a manifest of a million images has half this size
_LONGEST_NAME, _LONGEST_PATH = 255, 1024  # in bytes and in characters


def read_file(path: Any) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: The file cannot be read, or is a pipe or a device.
        ValueError: The path is a folder, or the file is larger than 1 GiB.
    """
    if Path(path).is_dir():
        raise ValueError('it is a folder')
    with open_regular(path) as stream:
        if os.fstat(stream.fileno()).st_size > _MOST_BYTES:
            raise ValueError(f'it is larger than {_MOST_BYTES >> 20} MiB')
        return stream.read()


def read_document(path: Any) -> Dict[str, Any]:
    """Read a JSON file that contains an object.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is larger than 1 GiB, not JSON, nested too deeply, or not an object.
    """
    try:
        return parse_object(read_file(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None


def parse_json(text: Union[str, bytes]) -> Any:
    """The JSON value in a text; raises a ValueError if it is not JSON, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None


def parse_object(text: Union[str, bytes]) -> Dict[str, Any]:
    """The JSON object in a text; raises a ValueError if it is not JSON, nested too deeply, or not an object."""
    found = parse_json(text)
    if not isinstance(found, dict):
        raise ValueError('it is not a JSON object')
    return found


def check_record(values: Any, record: type, where: str = '') -> None:
    """Check that ``values`` has the fields of a record with values according to their annotations.

    Args:
        values: The values from a file.
        record: A dataclass, or a ``TypedDict``, which allows further fields. Lists and dicts of records are checked
            recursively.
        where: Prefix of field names in messages.

    Raises:
        ValueError: A field is missing, unknown to a dataclass, or has a wrong type or range.
    """
    if not isinstance(values, dict):
        raise ValueError(f'{where or "it"} is not an object')
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
    """Raise a ValueError for a path that could lead out of its folder or is invalid; see :func:`is_plain`."""
    for path in paths:
        if not is_plain(path):
            raise ValueError(f'{_short(path)} is not a path of plain names inside the folder')


def is_plain(path: Any) -> bool:
    """Whether ``path`` consists of valid file names joined by ``/``, without ``.``, ``..`` and leading ``/``."""
    if not isinstance(path, str) or '\\' in path or any(category(letter) in ('Cc', 'Cs') for letter in path):
        return False
    parts = [part.encode(errors='replace') for part in path.split('/')]
    return len(path) <= _LONGEST_PATH and all(
        part not in (b'', b'.', b'..') and len(part) <= _LONGEST_NAME for part in parts)


def inside(root: Any, name: str) -> Path:
    """The path of the file ``name`` below the folder ``root``.

    Raises:
        DistillError: The path or a link leads out of the folder, or it is a folder, a pipe or a device.
    """
    path = Path(root, name)
    if not is_plain(name) or not path.resolve().is_relative_to(Path(root).resolve()):
        raise DistillError(f'{_short(name)} is outside {root}: the files of a set have to be in its folder')
    if path.exists() and not path.is_file():
        raise DistillError(f'{_short(name)} in {root} is not a regular file: remove it')
    return path


def _check(value: Any, hint: Any, where: str) -> None:
    if _is_record(hint):
        check_record(value, hint, where)
        return
    try:
        check_value(where, value, hint)
    except DistillError as error:
        raise ValueError(str(error)) from None
    for name, part, part_hint in _parts(value, hint):
        _check(part, part_hint, where if name is None else _place(where, name))


def _parts(value: Any, hint: Any) -> Iterator[Tuple[Any, Any, Any]]:
    """Yield name, value and annotation of the nested values that have to be checked separately."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Union:
        types = [arg for arg in args if arg is not type(None)]
        if value is not None and len(types) == 1:
            yield None, value, types[0]
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
