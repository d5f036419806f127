"""Which files of a folder hold the weights of a network, as diffusers and transformers name them."""
import re
from typing import Iterable, NamedTuple, Optional, Tuple

#: Endings of single files that can be read.
LOADABLE = ('.safetensors', '.ckpt', '.pt', '.pth', '.bin')


class WeightFiles(NamedTuple):
    """The files of one form of a network's weights."""
    safetensors: bool
    variant: Optional[str]  # such as 'fp16'
    files: Tuple[str, ...]  # the shards and their index, or a single file


def weight_files(names: Iterable[str]) -> Optional[WeightFiles]:
    """The form of the weights to load among the names of a folder's files; None where it holds none.

    Safetensors come before ``.bin`` (which is read with ``weights_only``), full precision before variants, ``fp16``
    before other variants, shards before a single file, as in diffusers.
    """
    names = list(names)
    for ending, stems in (('safetensors', 'diffusion_pytorch_model|model'),
                          ('bin', 'diffusion_pytorch_model|pytorch_model')):
        variants: dict = {}
        for name in sorted(names):
            variant = r'(?:\.([a-zA-Z]\w*))?'
            if found := re.fullmatch(rf'(?:{stems}){variant}\.{ending}', name):
                variants.setdefault(found[1], ([], []))[0].append(name)
            elif found := (re.fullmatch(rf'(?:{stems}){variant}-\d+-of-\d+{variant}\.{ending}', name)
                           or re.fullmatch(rf'(?:{stems})\.{ending}\.index{variant}()\.json', name)):
                variants.setdefault(found[1] or found[2] or None, ([], []))[1].append(name)
        for variant in sorted(variants, key=lambda v: (v is not None, v != 'fp16', v or '')):
            single, shards = variants[variant]
            whole = shards if any('.index.' in name for name in shards) else single[:1]
            if whole:
                return WeightFiles(ending == 'safetensors', variant, tuple(whole))
    return None


#: Files that hold weights in a form that is not read, and what to do.
_FOREIGN = (('flax_model', 'Flax weights'), ('.msgpack', 'Flax weights'), ('.h5', 'TensorFlow weights'),
            ('.onnx', 'an ONNX graph'), ('.gguf', 'GGUF weights'), ('.ckpt', 'a single-file checkpoint'))


def foreign_weights(names: Iterable[str]) -> str:
    """What files without readable weights hold instead, as the end of a message; '' where nothing is known of them."""
    for name in sorted(names):
        for mark, what in _FOREIGN:
            if mark in name:
                return f'; {name} is {what}'
    return ''
