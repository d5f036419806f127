"""Finds the weight files of a network in a folder, by the file names of diffusers and transformers."""
import re
from typing import Iterable, NamedTuple, Optional, Tuple

#: Suffixes of readable single files.
LOADABLE = ('.safetensors', '.ckpt', '.pt', '.pth', '.bin')


class WeightFiles(NamedTuple):
    """The files of one variant of a network's weights."""
    safetensors: bool  # whether they are safetensors; otherwise .bin
    variant: Optional[str]  # such as 'fp16'
    files: Tuple[str, ...]  # the shards and their index, or a single file


def weight_files(names: Iterable[str]) -> Optional[WeightFiles]:
    """Choose the weight files to load.

    As in diffusers, safetensors are preferred to ``.bin`` (loaded with ``weights_only``), full precision to variants,
    ``fp16`` to other variants, and shards to a single file.

    Args:
        names: Names of all files in a folder.

    Returns:
        The files, or None if the folder has no weights.

    Example:
        >>> weight_files(['config.json', 'model.safetensors', 'model.fp16.safetensors', 'pytorch_model.bin'])
        WeightFiles(safetensors=True, variant=None, files=('model.safetensors',))
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
            complete = shards if any('.index.' in name for name in shards) else single[:1]
            if complete:
                return WeightFiles(ending == 'safetensors', variant, tuple(complete))
    return None


#: Parts of the names of weight files in unsupported formats, and the names of the formats.
_FOREIGN = (('flax_model', 'Flax weights'), ('.msgpack', 'Flax weights'), ('.h5', 'TensorFlow weights'),
            ('.onnx', 'an ONNX graph'), ('.gguf', 'GGUF weights'), ('.ckpt', 'a single-file checkpoint'))


def foreign_weights(names: Iterable[str]) -> str:
    """End of a message about weights in an unsupported format among these files; '' if there are none."""
    for name in sorted(names):
        for mark, what in _FOREIGN:
            if mark in name:
                return f'; {name} is {what}'
    return ''
