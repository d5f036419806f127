"""Frozen networks from diffusers folders and hub ids."""
import hashlib
import json
import re
from pathlib import Path
from typing import Dict, Literal, Optional, Sequence

import torch

from ..errors import DistillError
from ..files import file_digest
from ..settings import check_value, nearest

Dtype = Literal['float32', 'bfloat16', 'float16']


def builtin(address: str) -> str:
    """``mmdistill://name`` → the path of weights that come with the package; anything else as it is."""
    prefix, root = 'mmdistill://', Path(__file__).resolve().parents[1] / 'toy' / 'weights'
    if not str(address).startswith(prefix):
        return str(address)
    path = root / str(address)[len(prefix):]
    if not path.exists():
        names = [prefix + str(p.relative_to(root)) for p in root.rglob('*') if p.is_dir() or p.suffix == '.safetensors']
        raise DistillError(f'no built-in weights at {address}{nearest(address, names)}')
    return str(path)


def licence(weights: str) -> Optional[str]:
    """The licence of weights that restricts their use; None where none is known to."""
    return 'CC-BY-NC-4.0: not for commercial use' if re.fullmatch('facebook/DiT-XL-2-(256|512)', str(weights)) else None


def local_folder(weights: str) -> Optional[Path]:
    """The local folder of ``weights``, ``mmdistill://name`` for built-in ones; None for a hub id ``owner/name``.

    A hub id is only what is no folder, and whose first half is no folder; anything else is a DistillError.
    """
    path = Path(builtin(weights)).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r'[\w-][\w.-]*/[\w.-]+', str(weights)) or path.parent.is_dir():
        raise DistillError(f'no weights at {weights}: give a diffusers folder or a hub id')
    return None


def check_folder(weights: str, parts: Sequence[str], where: str) -> Optional[Path]:
    """Check that weights are there, by their files alone. Nothing is read or fetched.

    Args:
        weights: See :func:`local_folder`, as for the result; what a hub id names is taken to be there.
        parts: Sub-folders that are needed; of ``transformer`` and ``unet`` one is enough, and a single one may be the
            folder itself.
        where: Key of the weights, for the message.
    """
    try:
        folder = local_folder(weights)
    except DistillError as error:
        raise DistillError(f'{where}: {error}') from None
    if folder is None:
        return None
    other = 'unet' if (folder / 'transformer').is_dir() else 'transformer'
    for part in [part for part in parts if part != other or 'transformer' not in parts]:
        place = folder if len(parts) == 1 and not (folder / part).is_dir() else folder / part
        config = {'scheduler': 'scheduler_config.json', 'tokenizer': 'tokenizer_config.json'}.get(part, 'config.json')
        for name in (config, '*.safetensors') if config == 'config.json' else (config, ):
            if not any(place.glob(name)):
                raise DistillError(f'{where}={str(weights)!r}: no {name} in {place}: give a diffusers folder that is '
                                   'complete')
    return folder


def check_network(folder: Path, names: Sequence[str], where: str) -> None:
    """Check that the ``transformer``, or ``unet``, of a folder is of one of the named classes."""
    part = folder / ('transformer' if (folder / 'transformer').is_dir() else 'unet')
    if (name := class_name(part)) not in names:
        raise DistillError(f'{where}: {part} holds a {name}, not a {" or ".join(names)}')


def class_name(folder: Path) -> Optional[str]:
    """The class that a diffusers folder says it holds."""
    try:
        return json.loads((folder / 'config.json').read_text()).get('_class_name')
    except (OSError, ValueError):
        raise unfit(f'no readable config.json in {folder}') from None


def resolve(weights: str, parts: Sequence[str] = ()) -> Path:
    """The folder of ``weights``, see :func:`local_folder`; of a hub id the snapshot, which is fetched once.

    ``parts`` are the sub-folders to fetch from the hub, besides a network at its top.
    """
    if (folder := local_folder(weights)) is not None:
        return folder
    from huggingface_hub import snapshot_download
    top = ['config.json', 'diffusion_pytorch_model.safetensors']
    names = ('*.json', '*.txt', 'model.safetensors', 'diffusion_pytorch_model.safetensors', '*-of-*.safetensors')
    patterns = [f'{part}/{name}' for part in parts for name in names]
    try:
        return Path(snapshot_download(str(weights), allow_patterns=top + patterns))
    except Exception as error:  # a missing network, repository or permission each have classes of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DistillError(f'no weights at {weights}: there is no such folder, and the hub said: {reason}') from None


def unfit(problem: str) -> DistillError:
    """The error of weights that are not what a config needs."""
    return DistillError(f'weights that do not fit the config: {problem}')


def load_part(known, folder: Path, dtype: torch.dtype = torch.float32):
    """A frozen network from its folder, safetensors only.

    ``known`` is its class; or several, for a folder of diffusers, whose config names the class. Weights that are
    missing, of another class, or that do not fit their config are a DistillError.
    """
    cls = known
    if isinstance(known, tuple):
        names, name = [one.__name__ for one in known], class_name(folder)
        if name not in names:
            raise unfit(f'{folder} holds a {name}, not a {" or ".join(names)}')
        cls = known[names.index(name)]
    where = f'{cls.__name__} in {folder}'
    if not (folder / 'config.json').is_file():
        raise unfit(f'{where}: no config.json; give a diffusers folder')
    try:
        network, info = cls.from_pretrained(folder, torch_dtype=dtype, use_safetensors=True, output_loading_info=True,
                                            local_files_only=True)
    except Exception as error:  # diffusers, transformers and safetensors raise half a dozen classes here
        raise unfit(f'{where}: {" ".join(str(error).split())[:300]}') from None
    if missing := [*info['missing_keys'], *info.get('mismatched_keys', ())]:
        raise unfit(f'{where}: {len(missing)} tensors are missing, the first is {missing[0]}')
    return network.eval().requires_grad_(False)


def fingerprints(folder: Path, parts: Sequence[str]) -> Dict[str, str]:
    """SHA-256 of each weights file of the given sub-folders (``'.'`` for the folder itself)."""
    return {str(file.relative_to(folder)): file_digest(file)
            for part in parts for file in sorted((folder / part).glob('*.safetensors'))}


def network_digest(network) -> str:
    """SHA-256 of a network's class and values, wherever they were loaded from."""
    digest = hashlib.sha256(type(network).__name__.encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def dtype_of(name: str) -> torch.dtype:
    """The torch dtype of that name."""
    check_value('dtype', name, Dtype)
    return getattr(torch, name)


def check_fit(what: str, value, other: str, expected) -> None:
    """Raise a DistillError where two parts of the weights do not go together."""
    if value != expected:
        raise unfit(f'{what} is {value}, {other} is {expected}')
