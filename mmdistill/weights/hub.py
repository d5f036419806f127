"""Loads frozen networks from diffusers folders, single files and the hub."""
import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple, Union
from weakref import WeakKeyDictionary

import torch

from ..errors import DistillError, named, unfit
from ..files import file_digest
from ..settings import check_value
from .address import local_path, resolve, revision_of
from .checkpoints import check_checkpoint
from .configs import class_in, config_errors, read_config
from .layout import foreign_weights, weight_files
from .single_file import check_single, load_single, read_single

Dtype = Literal['float32', 'bfloat16', 'float16']
Known = Union[type, Tuple[type, ...]]

#: Config files of parts that are not networks.
_CONFIGS = dict(scheduler='scheduler_config.json', tokenizer='tokenizer_config.json')

_DIGESTS: 'WeakKeyDictionary[Any, str]' = WeakKeyDictionary()  # see frozen_digest


class Weights:
    """Local weights: a diffusers folder, or a single file with the configs and tokenizer of another folder.

    Args:
        address: A folder; an address on the hub, ``owner/name[@revision][/sub/folder]``, which is downloaded once;
            ``mmdistill://name``; or a ``.safetensors`` or ``.ckpt`` file of Stable Diffusion 1.x or one of its parts.
        parts: Required sub-folders; empty for a single network, such as a ControlNet.
        config: Folder or address of the configs for a single file. A ControlNet in a single file needs its UNet's.

    Attributes:
        path: The folder or file.
        configs: The folder with the configs.

    Raises:
        DistillError: There are no such weights, or they cannot be read.

    Example:
        >>> weights = Weights('mmdistill://objects', parts=('unet', 'vae'))
        >>> weights.folder('unet').name
        'unet'
    """

    def __init__(self, address: str, parts: Sequence[str] = (), config: Optional[str] = None) -> None:
        self.address, self.parts = str(address), tuple(parts)
        self.path = resolve(address, parts)
        self.configs = config_folder(config, self.address, parts or ('unet', )) if self.path.is_file() else self.path

    @classmethod
    def of(cls, weights: Union[str, Path, 'Weights'], parts: Sequence[str]) -> 'Weights':
        """The weights at an address; an instance is returned unchanged."""
        return weights if isinstance(weights, Weights) else cls(str(weights), parts)

    @cached_property
    def _single(self) -> Dict[str, torch.Tensor]:
        return read_single(self.path)

    def folder(self, part: str) -> Path:
        """The folder with the config of a part; for a single network, the folder itself."""
        return self.configs / part if (self.configs / part).is_dir() else self.configs

    def load(self, known: Known, part: str, dtype: torch.dtype = torch.float32) -> Any:
        """Load the frozen network of a part.

        Args:
            known: Class of the network, or several classes of diffusers; the config names the one to load.
            part: Name of the part, such as ``'unet'``.
            dtype: Type of the parameters.

        Raises:
            DistillError: The weights are missing, of another class, or do not fit their config.
        """
        folder = self.folder(part)
        if self.path.is_file():
            return load_single(known if isinstance(known, type) else known[0], self._single, folder, dtype, self.path)
        return load_part(known, folder, dtype)

    def describe(self) -> Dict[str, Any]:
        """JSON values: the address, the revision on the hub, and the SHA-256 of each loaded file: tensors (``sha256``),
        configs and tokenizers (``configs``)."""
        files = [self.path] if self.path.is_file() else weights_of(self.path, self.parts)
        base = self.path.parent if self.path.is_file() else self.path
        revision = revision_of(self.path)
        return dict(id=self.address, **(dict(revision=revision) if revision else {}),
                    sha256={str(file.relative_to(base)): file_digest(file) for file in files},
                    configs={str(file.relative_to(self.configs)): file_digest(file) for file in self._config_files()})

    def _config_files(self) -> List[Path]:
        folders = dict.fromkeys(self.folder(part) for part in self.parts or ('', ))
        return [file for folder in folders for file in sorted(folder.iterdir()) if file.is_file() and (
            file.name == 'config.json' if folder == self.configs else
            file.suffix in ('.json', '.txt') and not file.name.endswith('.index.json'))]


def config_folder(config: Optional[str], address: str, parts: Sequence[str], fetch: bool = True) -> Path:
    """The folder of ``config``, which is required for weights in a single file.

    Args:
        config: Folder or address of the configs.
        address: Address of the weights, for messages.
        parts, fetch: See :func:`~mmdistill.weights.address.resolve`.

    Raises:
        DistillError: ``config`` is missing, or is not a folder.
    """
    if config is None or (folder := resolve(config, parts, tensors=False, fetch=fetch)).is_file():
        raise DistillError(f'{address} is a single file, without configs and tokenizer: give config, a folder or '
                           "hub address that has them, such as 'stable-diffusion-v1-5/stable-diffusion-v1-5'")
    return folder


def known_configs(weights: str, config: Optional[str] = None) -> Path:
    """The local folder with the configs of weights (see :class:`Weights`); nothing is downloaded."""
    path = resolve(weights, fetch=False)
    return config_folder(config, weights, (), fetch=False) if path.is_file() else path


def weights_of(folder: Path, parts: Sequence[str] = ()) -> List[Path]:
    """The weight files to load from the sub-folders ``parts``, or from the folder itself if it has none of them."""
    places = [folder / part for part in parts if (folder / part).is_dir()] or [folder]
    found = [(place, weight_files(file.name for file in place.iterdir())) for place in places]
    return [place / name for place, chosen in found if chosen for name in chosen.files]


def check_weights(weights: str, parts: Sequence[str], where: str, config: Optional[str] = None) -> Optional[Path]:
    """Check that weights exist and their files can be opened, without reading tensors or downloading anything.

    Args:
        weights, config: See :class:`Weights`; addresses on the hub are assumed to exist.
        parts: Required sub-folders. One of ``transformer`` and ``unet`` is enough, and a single part may be the folder
            itself.
        where: Config key of the weights, for messages.

    Returns:
        The folder with the configs; None if they are on the hub.

    Raises:
        DistillError: A file is missing or unreadable.
    """
    with named(where):
        path = configs = local_path(weights)
        if path is not None and path.is_file():
            check_single(path)
            on_hub = config is not None and local_path(config) is None
            configs = None if on_hub else config_folder(config, str(weights), parts or ('unet', ))
    if path is None or configs is None:
        return None
    for part, place in _places(configs, parts or ('' if path.is_dir() else 'unet', )).items():
        if missing := _missing_part(place, _CONFIGS.get(part), path.is_dir()):
            raise DistillError(f'{where}={str(weights)!r}: no {missing} in {place}: {_expected(configs, parts)}')
    if path.is_dir():
        _check_files(weights_of(path, parts), where)
    return configs


def _expected(folder: Path, parts: Sequence[str]) -> str:
    """Advice about a folder that lacks one of its parts."""
    known = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    return (f'give a folder of diffusers with {", ".join(filter(None, parts)) or "a network"}; this one has '
            f'{", ".join(known[:6]) or "no folders"}')


def _check_files(files: Sequence[Path], where: str) -> None:
    """Check that files of weights can be opened."""
    for file in files:
        with named(where):
            if file.suffix != '.json':  # an index of shards
                check_checkpoint(str(file))


def _places(folder: Path, parts: Sequence[str]) -> Dict[str, Path]:
    """The folder of each part; see :func:`check_weights`."""
    if 'transformer' in parts:
        other = 'unet' if (folder / 'transformer').is_dir() else 'transformer'
        parts = [part for part in parts if part != other]
    alone = len(parts) == 1 and not (folder / parts[0]).is_dir()
    return {part: folder if alone else folder / part for part in parts}


def _missing_part(place: Path, config: Optional[str], tensors: bool) -> Optional[str]:
    """Text that names the missing file or weights of a folder; None if the folder is complete.

    The folder needs the file ``config``. If ``config`` is None, it is the folder of a network, which needs
    ``config.json`` and, with ``tensors``, weights.
    """
    names = [file.name for file in place.iterdir()] if place.is_dir() else []
    if (config or 'config.json') not in names:
        return config or 'config.json'
    if config is None and tensors and weight_files(names) is None:
        return f'weights (.safetensors or .bin){foreign_weights(names)}'
    return None


def check_network(folder: Path, names: Sequence[str], where: str) -> None:
    """Raise a DistillError unless the ``transformer`` or ``unet`` in a folder has one of these class names."""
    part = folder / ('transformer' if (folder / 'transformer').is_dir() else 'unet')
    if (name := class_in(read_config(part))) not in names:
        raise DistillError(f'{where}: {part} holds {name}, not {" or ".join(names)}')


def load_part(known: Known, folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Load a frozen network from its folder; see :meth:`Weights.load`."""
    cls: Any = known
    if isinstance(known, tuple):
        names, name = [one.__name__ for one in known], class_in(read_config(folder))
        if name not in names:
            raise unfit(f'{folder} holds {name}, not {" or ".join(names)}')
        cls = known[names.index(name)]
    where = f'{cls.__name__} in {folder}'
    if part := _missing_part(folder, None, True):
        raise unfit(f'{where}: no {part}')
    chosen: Any = weight_files(file.name for file in folder.iterdir())
    with config_errors(where):
        network, info = cls.from_pretrained(folder, torch_dtype=dtype, use_safetensors=chosen.safetensors,
                                            variant=chosen.variant, output_loading_info=True, local_files_only=True)
    if missing := [*info['missing_keys'], *info.get('mismatched_keys', ())]:
        raise unfit(f'{where}: {len(missing)} tensors are missing, the first is {missing[0]}')
    return network.eval().requires_grad_(False)


def network_digest(network) -> str:
    """SHA-256 of a network's class name, parameters and buffers."""
    digest = hashlib.sha256(type(network).__name__.encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def frozen_digest(network) -> str:
    """:func:`network_digest` of a network whose weights no longer change, computed once per object."""
    if network not in _DIGESTS:
        _DIGESTS[network] = network_digest(network)
    return _DIGESTS[network]


def dtype_of(name: str) -> torch.dtype:
    """The torch dtype with this name: ``'float32'``, ``'bfloat16'`` or ``'float16'``."""
    check_value('dtype', name, Dtype)
    return getattr(torch, name)


def check_fit(what: str, value, other: str, expected) -> None:
    """Raise a DistillError if ``value`` of one part differs from the value that another part requires."""
    if value != expected:
        raise unfit(f'{what} is {value}, {other} is {expected}')
