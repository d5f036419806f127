"""Reads configs and applies settings from the command line."""
import inspect
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .errors import DistillError, one_line
from .registry import Registry  # noqa: F401  says how to install MMEngine, makes `_base_ = 'mmdistill::…'` usable
from .settings import nearest

from mmengine.config import Config, ConfigDict  # isort: skip
from mmengine.runner import Runner  # isort: skip

RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {'self'}  # config keys of MMEngine's runner


def read_config(path: str) -> Config:
    """Read a config.

    Args:
        path: A path, ``'package::path'`` for a config of an installed package, such as ``'mmseg::unet/….py'``, or the
            name of a config of this package, such as ``'d4m_objects-64px'``.

    Raises:
        DistillError: There is no such config, or it cannot be read.
    """
    file = config_path(path)
    try:
        cfg = Config.fromfile(file)
    except Exception as error:  # a config is a program of the user, which may raise anything
        raise _config_error(file, error) from None
    for key in RUNNER_KEYS & {*cfg}:
        _drop_deletes(dict.get(cfg._cfg_dict, key))
    return cfg


def _drop_deletes(part: Any) -> None:
    """Remove ``_delete_`` from keys without a base. MMEngine keeps it there and would pass it to the component.
    """
    if isinstance(part, dict):
        dict.pop(part, '_delete_', None)
    for member in dict.values(part) if isinstance(part, dict) else part if isinstance(part, (list, tuple)) else ():
        _drop_deletes(member)


def config_path(path: str) -> Path:
    """The file that :func:`read_config` reads; raises a DistillError if there is none."""
    file = Path(path)
    if '::' in path:
        package, _, name = path.partition('::')
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise DistillError(f'no config at {path}: {package} is not installed')
        file = Path(spec.origin).parent / '.mim' / 'configs' / name
    if file.is_file():
        return file
    names = _shipped() if str(file) == file.name else {}
    if file.name.removesuffix('.py') in names:
        return names[file.name.removesuffix('.py')]
    raise DistillError(f'no config at {file}: give a file, or package::path for one that is installed'
                       f'{nearest(file.name, names)}')


def _shipped() -> Dict[str, Path]:
    """The package's configs by their names without ``.py``; files in ``_base_`` are not included."""
    root = Path(__file__).parent / '.mim' / 'configs'
    return {file.stem: file for file in root.rglob('*.py') if not any(
        part.startswith('_') for part in file.relative_to(root).parts)}


def _config_error(file: Path, error: Exception) -> DistillError:
    """The error for an exception of ``Config.fromfile``, with the file (possibly a base config), line and reason."""
    if imported := _import_problem(error):
        return DistillError(f'cannot read the config {file}: custom_imports: {imported}')
    where, line = _place(file, error)
    reason = one_line(error, 600)
    if 'cannot inherit from base because' in reason and "<class 'list'>" in reason:
        reason += ': write the whole list; its members have keys only in --cfg-options'
    if isinstance(error, RecursionError):
        where, line, reason = str(file), None, 'its _base_ configs inherit each other in a circle'
    elif isinstance(error, SyntaxError):
        line, reason = error.lineno, error.msg
    elif isinstance(error, FileNotFoundError) and error.filename:
        where, reason = str(file), f'no file {error.filename}, which it or one of its _base_ configs names'
    elif line is not None or ' ' not in reason:
        reason = one_line(error, named=True)
    return DistillError(f'cannot read the config {where}{"" if line is None else f", line {line}"}: {reason}')


def _import_problem(error: BaseException) -> str:
    """Text about an exception in a module of ``custom_imports``: the line of the module, and the reason; '' for others.
    """
    frames = [*traceback.walk_tb(error.__traceback__)]
    while (cause := error.__cause__ or error.__context__) is not None:  # MMEngine replaces ImportError, twice
        error = cause
        frames += traceback.walk_tb(error.__traceback__)
    importing = ('import_modules_from_strings', 'import_module')  # of MMEngine and importlib
    modules = [frame.f_locals.get('imp') for frame, _ in frames if frame.f_code.co_name == importing[0]]
    if not modules:
        return ''
    if isinstance(error, SyntaxError):
        return f'{error.filename}, line {error.lineno}: {error.msg}'
    frame, line = [one for one in frames if not one[0].f_code.co_filename.startswith('<frozen importlib')][-1]
    if frame.f_code.co_name not in importing:
        return f'{frame.f_code.co_filename}, line {line}: {one_line(error, named=True)}'
    return f'no module in PYTHONPATH is named {modules[-1]}' if isinstance(error, ImportError) else ''


def _place(file: Path, error: Exception) -> Tuple[str, Optional[int]]:
    """The file that was being read and, if it was being executed, the line of the exception."""
    where, line = str(file), None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name in ('_file2dict', '_parse_lazy_import'):  # MMEngine's functions that read one file
            where, line = str(frame.f_locals.get('filename', where)), None
        elif frame.f_code.co_filename == where:
            line = number
    return where, line


def merge_options(cfg: Config, options: Dict[str, Any], known: Collection[str] = ()) -> None:
    """Set keys of a config like ``Config.merge_from_dict``, with two extensions.

    Members of lists can be addressed by type instead of number: ``custom_hooks.PrototypeHook.ipc``. Setting
    ``data_root`` also changes every ``data_root`` in the config that is the same folder or below it.

    Args:
        cfg: The config; changed in place.
        options: Dotted key → value; dicts are merged.
        known: Top-level keys that are allowed in addition to the config's keys and the keys of MMEngine's runner.

    Raises:
        DistillError: A key is unknown or leads through a value without keys, a list has no such member or several, the
            key is a variable that was only used while the file was read, the config has no ``data_root``, or the key
            is in ``custom_imports``, which have no effect after the file was read.
    """
    options = dict(options)
    if 'data_root' in options:
        _move_data(cfg, options.pop('data_root'))
    for key, value in options.items():
        name, *path = key.split('.')
        if name == 'custom_imports':
            raise DistillError(f'{key}: modules are imported while the config file is read: set it in the file')
        if name not in (keys := {*RUNNER_KEYS, *cfg, *known}):
            places = [place for place, _ in _members(cfg, name)]
            raise DistillError(f'{key}: the config has no {name}'
                               + (f', but {", ".join(places)}: set that' if places else nearest(name, keys)))
        if name in cfg and name not in {*known, *RUNNER_KEYS} and (places := copies_of(cfg, name, cfg[name])):
            where = name if key == name else f'{key}: {name}'
            raise DistillError(f'{where} is a variable of the config file, whose value is in {places[0]}: set that')
        cfg[name] = changed(cfg[name] if name in cfg else ConfigDict(), path, value, name)


def copies_of(cfg: Config, name: str, value: Any) -> List[str]:
    """Keys of MMEngine's runner into which the value of a variable of a config file was copied.

    Dicts and lists are found under any key; other values are found only under the variable's own name.
    """
    anywhere = None if value and isinstance(value, (dict, list, tuple)) else name
    return [place for place, found in _members(cfg, anywhere) if found == value]


def _members(cfg: Config, name: Optional[str] = None) -> Iterator[Tuple[str, Any]]:
    """Key and value of every part of the config that MMEngine's runner reads, or of those with this last name.

    The key of a list member is its type if it has one, or its number, as in :func:`merge_options`.
    """
    def walk(part: Any, place: str, last: str) -> Iterator[Tuple[str, Any]]:
        if name in (None, last):
            yield place, part
        if isinstance(part, dict):
            for key, member in part.items():
                yield from walk(member, f'{place}.{key}', str(key))
        elif isinstance(part, list):
            for key, member in zip(member_names(part), part):
                yield from walk(member, f'{place}.{key}', key)

    for key in cfg:
        if key in RUNNER_KEYS:
            yield from walk(cfg[key], key, '')


def changed(old: Any, path: Sequence[str], value: Any, where: str) -> Any:
    """A copy of ``old``, the value at key ``where`` of the config, with ``value`` at ``path``."""
    if not path:
        if not isinstance(value, dict):
            return value
        value = dict(value)
        if value.pop('_delete_', False) or not isinstance(old, (dict, list)):
            return ConfigDict(value)
        for key, part in value.items():
            old = changed(old, [key], part, where)
        return old
    name, rest = path[0], path[1:]
    if isinstance(old, list):
        index = _index(old, name, where)
        return [*old[:index], changed(old[index], rest, value, f'{where}.{name}'), *old[index + 1:]]
    if not isinstance(old, dict):
        raise DistillError(f'{where}.{name} cannot be set: {where} is {old!r}; set {where} as a whole')
    new = old.copy()
    new[name] = changed(old[name] if name in old else ConfigDict(), rest, value, f'{where}.{name}')
    return new


def _index(members: List[Any], name: str, where: str) -> int:
    """Index of the list member with this number or type."""
    if name.isdigit():
        if int(name) >= len(members):
            raise DistillError(f'{where}.{name} does not exist: {where} has {len(members)} members')
        return int(name)
    types = [type_name(member) for member in members]
    if types.count(name) != 1:
        if name in types:
            raise DistillError(f'{where}.{name} is not unique: {where} has {types.count(name)} of them: use the number')
        known = ', '.join(filter(None, types)) or 'no members with a type'
        raise DistillError(f'{where}.{name} does not exist: {where} has {known}')
    return types.index(name)


def type_name(member: Any) -> str:
    """Name of a component's type without its scope; '' if it has no type."""
    component = member.get('type', '') if isinstance(member, dict) else ''
    return component.rpartition('.')[2] if isinstance(component, str) else getattr(component, '__name__', '')


def member_names(members: Sequence[Any]) -> List[str]:
    """The names of a list's members in keys, as in :func:`merge_options`: the type of a member if no other member has
    the same type, otherwise its number.

    Example:
        >>> member_names([dict(type='mmseg.Resize'), dict(type='Flip'), dict(type='Flip')])
        ['Resize', '1', '2']
    """
    types = [type_name(member) for member in members]
    return [name if name and types.count(name) == 1 else str(number) for number, name in enumerate(types)]


def _move_data(cfg: Config, target: str) -> None:
    """Set ``data_root``, and change every ``data_root`` in the config that is the same folder or below it."""
    if not cfg.get('data_root'):
        raise DistillError('data_root cannot be set: the config has no data_root at the top level; set data_root of '
                           'its datasets')
    source = cfg.data_root.rstrip('/')

    def moved(part: Any) -> Any:
        if isinstance(part, dict):
            new = part.copy()
            for key in part:
                new[key] = place(part[key]) if key == 'data_root' else moved(part[key])
            return new if any(new[key] is not part[key] for key in part) else part
        if isinstance(part, (list, tuple)):
            members = [moved(member) for member in part]
            return type(part)(members) if any(new is not old for new, old in zip(members, part)) else part
        return part

    def place(folder: Any) -> Any:
        inside = isinstance(folder, str) and f'{folder}/'.startswith(f'{source}/')
        return target.rstrip('/') + folder[len(source):].rstrip('/') if inside else folder

    for key, value in moved(dict(cfg.items())).items():
        cfg[key] = value


def without_scope(value: Any, scope: str) -> Any:
    """A config without ``_scope_=scope``, which MMEngine adds to parts inherited with ``package::``."""
    if isinstance(value, Mapping):
        return {key: without_scope(item, scope) for key, item in value.items() if (key, item) != ('_scope_', scope)}
    return [without_scope(item, scope) for item in value] if isinstance(value, (list, tuple)) else value
