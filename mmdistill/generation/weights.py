"""Loading frozen parts from diffusers folders and hub ids."""
import hashlib
import json
import re
from pathlib import Path
from typing import Dict, Optional, Sequence, Union

import torch
from torch import Tensor

from ..errors import DistillError
from .process import scheduler_class

DTYPES = dict(float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)


def builtin(address: str) -> str:
    """``mmdistill://name`` → the path of weights that come with the package; anything else as it is."""
    prefix, root = 'mmdistill://', Path(__file__).resolve().parents[1] / 'weights'
    return str(root / address[len(prefix):]) if str(address).startswith(prefix) else str(address)


def licence(weights: str) -> Optional[str]:
    """The licence of weights that restricts their use; None where none is known to."""
    restricted = re.fullmatch(r'facebook/DiT-XL-2-(256|512)', str(weights))
    return 'CC-BY-NC-4.0: not for commercial use' if restricted else None


def resolve(weights: str, parts: Sequence[str] = ()) -> Path:
    """The local folder of ``weights``: a folder, or a hub id ``owner/name`` whose snapshot is fetched once.

    Args:
        weights: ``mmdistill://name`` names built-in ones. A hub id is only what is no folder, and whose first
            half is no folder either.
        parts: Sub-folders to fetch from the hub, besides a network at its top.

    Raises:
        DistillError: There is no such folder, and no such hub id can be reached.
    """
    weights = builtin(weights)
    path = Path(weights).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r'[\w-][\w.-]*/[\w.-]+', str(weights)) or path.parent.is_dir():
        raise DistillError(f'no weights at {weights}: give a diffusers folder or a hub id')
    from huggingface_hub import snapshot_download
    top = ['config.json', 'diffusion_pytorch_model.safetensors']
    names = ('*.json', '*.txt', 'model.safetensors', 'diffusion_pytorch_model.safetensors', '*-of-*.safetensors')
    patterns = [f'{part}/{name}' for part in parts for name in names]
    try:
        return Path(snapshot_download(str(weights), allow_patterns=top + patterns))
    except Exception as error:  # a missing network, repository or permission each have classes of their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DistillError(f'no weights at {weights}: there is no such folder, and the hub said: {reason}') from None


def load_part(cls, folder: Path, dtype: torch.dtype = torch.float32):
    """A frozen network from its folder, safetensors only.

    Raises:
        DistillError: The folder or its weights are missing, or the weights do not fit its config.
    """
    where = f'{cls.__name__} in {folder}'
    if not (folder / 'config.json').is_file():
        raise DistillError(f'weights that do not fit the config: {where}: no config.json; give a diffusers folder')
    try:
        network, info = cls.from_pretrained(folder, torch_dtype=dtype, use_safetensors=True, output_loading_info=True,
                                            local_files_only=True)
    except Exception as error:  # diffusers, transformers and safetensors raise half a dozen classes here
        reason = ' '.join(str(error).split())[:300]
        raise DistillError(f'weights that do not fit the config: {where}: {reason}') from None
    missing = [*info['missing_keys'], *info.get('mismatched_keys', ())]
    if missing:
        raise DistillError(f'weights that do not fit the config: {where}: {len(missing)} tensors are missing, the '
                           f'first is {missing[0]}')
    return network.eval().requires_grad_(False)


def load_vae(weights: str):
    """The frozen autoencoder, float32, of a diffusers folder or hub id: its ``vae`` sub-folder, or itself.

    Raises:
        DistillError: It is missing, or neither an ``AutoencoderKL`` nor an ``AutoencoderTiny``.
    """
    import diffusers
    folder = resolve(weights, ('vae', ))
    folder = folder / 'vae' if (folder / 'vae').is_dir() else folder
    name = class_name(folder)
    if name not in ('AutoencoderKL', 'AutoencoderTiny'):
        raise DistillError(f'weights that do not fit the config: {folder} holds a {name}, not an AutoencoderKL or '
                           'AutoencoderTiny')
    return load_part(getattr(diffusers, name), folder)


def save_vae(vae, folder: Path) -> None:
    """Write an autoencoder into ``folder/vae`` in diffusers' layout, fp16 safetensors; ``vae`` becomes fp16."""
    vae.half().save_pretrained(folder / 'vae')
    if type(vae).__name__ == 'AutoencoderTiny':
        # It registers an argument that it does not take, and would warn of it at every load.
        path = folder / 'vae' / 'config.json'
        config = json.loads(path.read_text())
        config.pop('block_out_channels', None)
        path.write_text(json.dumps(config, indent=2) + '\n')


def class_name(folder: Path) -> Optional[str]:
    """The class that a diffusers folder says it holds."""
    try:
        return json.loads((folder / 'config.json').read_text()).get('_class_name')
    except (OSError, ValueError):
        raise DistillError(f'weights that do not fit the config: no readable config.json in {folder}') from None


def load_scheduler(folder: Path, scheduler: Union[None, str, dict] = None):
    """The scheduler of ``folder/scheduler``, or another one with its noise levels.

    Another class places the timesteps in its own way: ``timestep_spacing`` is not taken over, for 'leading', the
    training schedulers' default, would let a solver of few steps begin far from pure noise.

    Args:
        scheduler: None for the folder's own; a class name; or ``dict(type=name, key=value, …)``.

    Raises:
        DistillError: The scheduler cannot be guided, or there is none.
    """
    changes = dict(type=scheduler) if isinstance(scheduler, str) else dict(scheduler or {})
    try:
        config = json.loads((folder / 'scheduler' / 'scheduler_config.json').read_text())
    except (OSError, ValueError):
        raise DistillError(f'no readable scheduler/scheduler_config.json in {folder}') from None
    cls = scheduler_class(changes.pop('type', config['_class_name']))
    if cls.__name__ != config['_class_name']:
        config.pop('timestep_spacing', None)
    return cls.from_config(config, **changes)


def vae_factor(vae) -> int:
    """Side of the image over side of the latents."""
    return 2**(len(vae.config.block_out_channels) - 1)


def encode(vae, images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [-1, 1] to scaled latents (B, C, h, w); the mean where the encoder gives a Gaussian."""
    out = vae.encode(images)
    latents = out.latent_dist.mode() if hasattr(out, 'latent_dist') else out.latents
    return (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor


def decode(vae, latents: Tensor) -> Tensor:
    """Scaled latents (B, C, h, w) to images (B, 3, H, W), about [-1, 1]."""
    return vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)).sample


def fingerprints(folder: Path, parts: Sequence[str]) -> Dict[str, str]:
    """SHA-256 of each weights file of the given sub-folders (``'.'`` for the folder itself)."""
    sums = {}
    for part in parts:
        for file in sorted((folder / part).glob('*.safetensors')):
            digest = hashlib.sha256()
            with open(file, 'rb') as stream:
                for block in iter(lambda: stream.read(1 << 22), b''):
                    digest.update(block)
            sums[str(file.relative_to(folder))] = digest.hexdigest()
    return sums


def network_digest(network) -> str:
    """SHA-256 of a network's class and values, wherever they were loaded from."""
    digest = hashlib.sha256(type(network).__name__.encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def dtype_of(name: str) -> torch.dtype:
    """The torch dtype of that name."""
    if name not in DTYPES:
        raise DistillError(f'dtype={name!r} is unknown: set it to one of {", ".join(DTYPES)}')
    return DTYPES[name]


def check_fit(what: str, value, other: str, expected) -> None:
    """Raise a DistillError where two parts of the weights do not go together."""
    if value != expected:
        raise DistillError(f'weights that do not fit the config: {what} is {value}, {other} is {expected}')
