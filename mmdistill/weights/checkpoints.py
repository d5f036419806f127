"""Checkpoints of OpenMMLab packages and safetensors files: tensors and plain values only."""
import pickle
from typing import Any, List

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import DistillError
from .hub import builtin


class _Ignored:
    """Stands for what MMEngine's log buffers are pickled with: nothing of it is called or kept."""

    def __init__(self, *args, **kwargs) -> None:
        pass

    __setstate__ = __init__


# What MMEngine's checkpoints hold beside tensors and plain values.
_SAFE: List[Any] = [(_Ignored, name) for name in (
    'mmengine.logging.history_buffer.HistoryBuffer', 'builtins.getattr', 'numpy.ndarray', 'numpy.dtype',
    *(f'numpy.{core}.multiarray.{name}' for core in ('_core', 'core') for name in ('_reconstruct', 'scalar')))]


def load_checkpoint(path: str) -> dict:
    """``state_dict`` and, where there is one, ``meta`` of an OpenMMLab checkpoint, or of a safetensors file.

    Never unpickles more than tensors and plain values. ``path`` is a file, a URL, or ``mmdistill://name`` for built-in
    weights.
    """
    path = builtin(path)
    try:
        if path.endswith('.safetensors'):
            return dict(state_dict=load_file(path))
        with torch.serialization.safe_globals(_SAFE):
            load = torch.hub.load_state_dict_from_url if '://' in path else torch.load
            checkpoint: Any = load(path, map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        raise DistillError(f'cannot read weights from {path} ({str(error).splitlines()[0]}): give a checkpoint that '
                           'exists and holds only tensors') from None
    return checkpoint if 'state_dict' in checkpoint else dict(state_dict=checkpoint)


def load_weights(path: str) -> dict:
    """The ``state_dict`` of :func:`load_checkpoint`."""
    return load_checkpoint(path)['state_dict']
