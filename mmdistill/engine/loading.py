"""Safe loading of checkpoints, pickled annotations and YAML files, which MMEngine would otherwise unpickle."""
import codecs
import collections
import os
import os.path as osp
import pickle
from typing import Any, Dict

import numpy as np
import yaml
from mmengine.fileio import PickleHandler, YamlHandler, register_handler
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mmdistill.errors import DistillError
from mmdistill.weights.checkpoints import read_checkpoint

_CORE = getattr(np, '_core', None) or np.core
_NUMPY: Dict[str, Any] = {  # names in pickled arrays and scalars of numpy 1 and numpy 2
    'numpy.ndarray': np.ndarray, 'numpy.dtype': np.dtype,
    **{f'numpy.{core}.multiarray.{name}': getattr(_CORE.multiarray, name)
       for core in ('core', '_core') for name in ('_reconstruct', 'scalar')},
    **{f'numpy.dtypes.{type(np.dtype(code)).__name__}': type(np.dtype(code)) for code in '?bBhHiIlLqQefdUS'}}
_HISTORY = f'{HistoryBuffer.__module__}.{HistoryBuffer.__name__}'
_PLAIN = {**_NUMPY, 'collections.OrderedDict': collections.OrderedDict, '_codecs.encode': codecs.encode,
          **{f'{module}.{kind.__name__}': kind for module in ('builtins', '__builtin__')  # pickle protocols 3 and 2
             for kind in (set, frozenset, complex, slice, range, bytearray)}}


def restrict_loading() -> None:
    """Prevent files that MMEngine loads from running code, in this process and its child processes.

    Checkpoints are read by :func:`~mmdistill.weights.checkpoints.read_checkpoint`, which also accepts numpy arrays and
    MMEngine's log history; other calls of ``torch.load`` accept tensors and plain values only. Pickled annotations may
    contain numpy arrays and Python's built-in containers; YAML files may not contain Python tags.
    """
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    CheckpointLoader.register_scheme(('', 'http://', 'https://'), _load_checkpoint, force=True)
    register_handler(['pkl', 'pickle'])(PlainPickleHandler)
    register_handler(['yaml', 'yml'])(PlainYamlHandler)


def _load_checkpoint(filename: str, map_location: Any = None, **settings: Any) -> dict:
    HistoryBuffer()  # creates the table of methods, which a checkpoint must not replace
    methods = dict(HistoryBuffer._statistics_methods)
    try:
        return read_checkpoint(osp.expanduser(filename), {_HISTORY: HistoryBuffer, **_NUMPY})
    finally:
        HistoryBuffer._statistics_methods.clear()
        HistoryBuffer._statistics_methods.update(methods)


class _Unpickler(pickle.Unpickler):

    def find_class(self, module: str, name: str) -> Any:
        if (found := _PLAIN.get(f'{module}.{name}')) is None:
            raise pickle.UnpicklingError(f'it names {module}.{name}')
        return found


class PlainPickleHandler(PickleHandler):
    """Reads pickles of plain values and numpy arrays; raises a DistillError for other pickles."""

    def load_from_fileobj(self, file: Any, **settings: Any) -> Any:
        try:
            return _Unpickler(file).load()
        except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, ValueError, TypeError) as error:
            raise DistillError(f'a pickle ({getattr(file, "name", "an annotation file")}) contains more than plain '
                               f'values ({error}); loading it could run code: save it with lists, dicts, numbers, '
                               'strings and arrays only') from None


class PlainYamlHandler(YamlHandler):
    """Reads YAML without Python tags."""

    def load_from_fileobj(self, file: Any, **settings: Any) -> Any:
        return yaml.safe_load(file)
