"""Safe loading of checkpoints and safetensors files: only tensors and plain values are read."""
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from ..documents import parse_json
from ..errors import DistillError, MissingWeights, one_line
from ..lock import one_at_a_time
from .address import builtin

CLASSES = 'classes'  # key of the class names in the metadata of a safetensors file
_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, SafetensorError, pickle.UnpicklingError)


class _Ignored:
    """Replaces an object of any class in a checkpoint; its content is dropped."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    __setstate__ = __init__


class _Items:
    """Replaces a dict of any class, such as ``ConfigDict`` or ``defaultdict``; its items are kept."""

    def __new__(cls, *args: Any) -> Any:
        return OrderedDict(next((value for value in args if isinstance(value, dict)), {}))


class _Entries:
    """Replaces a ``deque``."""

    def __new__(cls, *args: Any) -> Any:
        return []


def load_checkpoint(path: str) -> dict:
    """``state_dict`` and, if present, ``meta`` of a checkpoint or safetensors file; see :func:`read_checkpoint`."""
    checkpoint = read_checkpoint(path)
    return checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint)


def read_checkpoint(path: str, known: Mapping[str, Any] = MappingProxyType({}), mmap: bool = False) -> dict:
    """Load the content of a checkpoint or safetensors file to the CPU.

    Only tensors and plain values are loaded (``torch.load(weights_only=True)``). Classes and functions named in the
    file are never imported or called; objects of other classes (``ConfigDict``, ``datetime``, ``Path``, numpy's,
    callbacks) are replaced by empty placeholders.

    Args:
        path: A file; a URL, which is downloaded once to torch hub's folder and checked by the digest in its name; or
            ``mmdistill://name`` for built-in weights.
        known: Trusted classes by name, such as ``'package.Class'``; their objects are loaded.
        mmap: Whether to read the bytes of tensors only when they are used.

    Raises:
        DistillError: The file cannot be read, or does not contain a dict.
    """
    path = builtin(path)
    try:
        if path.endswith('.safetensors'):
            return dict(state_dict=load_file(path), **_safetensors_meta(path))
        checkpoint = _load(fetch_file(path) if '://' in path else path, known, mmap)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    if not isinstance(checkpoint, dict):
        raise DistillError(f'{path} holds a {type(checkpoint).__name__}, not a dict of tensors: give a checkpoint or '
                           'a state dict')
    return checkpoint


def check_exists(path: str, key: str, advice: str = '') -> None:
    """Raise :class:`MissingWeights` if the local file at ``key`` of a config does not exist; URLs are skipped."""
    if '://' not in path and not Path(path).is_file():
        raise MissingWeights(f'{key}={path!r}: there is no such file{advice and f": {advice}"}')


def check_checkpoint(path: str) -> None:
    """Check that :func:`load_checkpoint` can read a local file, and that the file contains tensors.

    The values of the tensors are only read from files in the format of PyTorch before 1.6.

    Raises:
        DistillError: The file cannot be read, or contains no tensor.
    """
    read_shapes(path)


def read_shapes(path: str) -> Dict[str, torch.Tensor]:
    """The tensors in a local file on the meta device, so only their names and shapes; see :func:`check_checkpoint`."""
    try:
        if path.endswith('.safetensors'):
            with safe_open(path, 'pt') as file:
                found: Any = {name: torch.empty(file.get_slice(name).get_shape(), device='meta')
                              for name in file.keys()}
        else:
            found = _load(path, {}, mmap=zipfile.is_zipfile(path))
    except _UNREADABLE as error:
        raise _unreadable(path, error) from None
    found = found.get('state_dict', found) if isinstance(found, dict) else found
    shapes = {name: value.to('meta') for name, value in found.items() if isinstance(value, torch.Tensor)
              } if isinstance(found, dict) else {}
    if not shapes:
        raise DistillError(f'{path} holds no tensors by name: give a checkpoint or a state dict')
    return shapes


def misfit(error: Exception) -> str:
    """The first difference in an exception of ``load_state_dict``, which lists all; '' for other exceptions."""
    lines = [line for line in map(str.strip, str(error).splitlines()) if line]
    if len(lines) < 2 or not ('state' in lines[0] and 'dict' in lines[0]):
        return ''
    return re.sub(r'(keys?(?:\(s\))? in (?:source )?state_dict: [^,]+), .*', r'\1, …', lines[1]).rstrip('.')


def _unreadable(path: str, error: Exception) -> DistillError:
    reason = one_line(error)
    if isinstance(error, pickle.UnpicklingError) or 'weights_only' in str(error):  # torch suggests an unsafe option
        reason = 'it is damaged or not a PyTorch checkpoint'
    return DistillError(f'cannot read weights from {path} ({reason}): give a checkpoint that exists and holds only '
                        'tensors')


def read_meta(path: str) -> Any:
    """``meta`` of a checkpoint or safetensors file, without reading tensors; see :func:`read_checkpoint`.

    None if it has no ``meta``, or is a URL that has not been downloaded.
    """
    path = builtin(path)
    file = _fetched(path) if '://' in path else Path(path)
    if not file.is_file():
        return None
    if path.endswith('.safetensors'):
        try:
            return _safetensors_meta(str(file)).get('meta')
        except _UNREADABLE:
            return None  # loading the tensors will raise the error
    return read_checkpoint(str(file), mmap=zipfile.is_zipfile(file)).get('meta')


def trained_classes(meta: Any) -> Any:
    """Class names in the ``meta`` of a checkpoint; None if there are none."""
    if not isinstance(meta, Mapping):
        return None
    dataset = meta.get('dataset_meta')
    names = dataset.get('classes') if isinstance(dataset, Mapping) else None
    names = meta.get('CLASSES') if names is None else names  # older versions of OpenMMLab's packages
    return names if isinstance(names, (list, tuple)) else None


def _safetensors_meta(path: str) -> Dict[str, Any]:
    """``meta`` with the class names in the metadata of a safetensors file; empty without names."""
    with safe_open(path, 'pt') as file:
        names = (file.metadata() or {}).get(CLASSES)
    return {} if names is None else dict(meta=dict(dataset_meta=dict(classes=parse_json(names))))


def load_weights(path: str) -> Dict[str, Any]:
    """The ``state_dict`` of :func:`load_checkpoint`."""
    return load_checkpoint(path)['state_dict']


def fetch_file(url: str) -> str:
    """Download a URL to torch hub's folder once, check the ``-<digest>.`` in its name, and return the local path."""
    path = _fetched(url)
    if not path.is_file():
        with one_at_a_time(path):  # the processes of a launcher
            if not path.is_file():
                digest = re.search(r'-([a-f0-9]{8,})\.', path.name)
                torch.hub.download_url_to_file(url, str(path), digest[1] if digest else None)
    return str(path)


def _fetched(url: str) -> Path:
    return Path(torch.hub.get_dir()) / 'checkpoints' / url.rsplit('/', 1)[-1]


def _load(path: str, known: Mapping[str, Any], mmap: bool = False) -> Any:
    """``torch.load`` of tensors, plain values and known classes, with placeholders for all other classes."""
    names: List[str] = []
    if zipfile.is_zipfile(path):
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    while True:
        try:
            allowed = {**{name: _stand_in(name) for name in names}, **known}
            with torch.serialization.safe_globals([(thing, name) for name, thing in allowed.items()]):
                return torch.load(path, map_location='cpu', weights_only=True, mmap=mmap)
        except pickle.UnpicklingError as error:  # the format before PyTorch 1.6 does not list its globals
            missing = re.search(r'GLOBAL (\S+) was not an allowed global', str(error))
            name = missing[1] if missing and '.' in missing[1] else f'builtins.{missing[1]}' if missing else None
            if name is None or name in names:
                raise
            names = [*names, name]


def _stand_in(name: str) -> Any:
    return _Items if name.lower().endswith('dict') else _Entries if name == 'collections.deque' else _Ignored
