"""Addresses of weights: folders, single files, built-in names and repositories on the hub."""
import glob
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from ..errors import DistillError, one_line
from ..settings import nearest
from .layout import LOADABLE, weight_files
from .public import DIT

FORMS = 'give a diffusers folder, a .safetensors or .ckpt file, or a hub address owner/name[@revision][/sub/folder]'

#: Common first folders of relative local paths, which are never interpreted as owners on the hub.
_LOCAL = ('work_dirs', 'data', 'checkpoints', 'weights', 'models', 'pretrained')


class Address(NamedTuple):
    """``owner/name[@revision][/sub/folder]`` on the hub.

    Example:
        >>> Address.parse('facebook/DiT-XL-2-256@main/transformer')
        Address(repo='facebook/DiT-XL-2-256', revision='main', inside='transformer')
    """
    repo: str
    revision: Optional[str]
    inside: str  # folder or file in the repository; '' for its root

    @classmethod
    def parse(cls, text: str) -> Optional['Address']:
        """Parse an address; None if the text is not an address."""
        name = r'[\w][\w.-]*'
        revision = rf'(?:@(refs/\w+/\w+|{name}))?'  # before or after the folder inside
        found = re.fullmatch(rf'({name}/{name}){revision}((?:/{name})*){revision}', text)
        if not found or (found[2] and found[4]) or text.split('/')[0] in _LOCAL or Path(text.split('/')[0]).is_dir():
            return None
        return cls(found[1], found[2] or found[4], found[3].strip('/'))


def builtin(address: str) -> str:
    """Resolve ``mmdistill://name`` to the path of weights in the package; other addresses are returned unchanged.

    Raises:
        DistillError: There are no built-in weights of this name.
    """
    prefix, root = 'mmdistill://', Path(__file__).resolve().parents[1] / 'toy' / 'weights'
    if not str(address).startswith(prefix):
        return str(address)
    path = root / str(address)[len(prefix):]
    if not path.exists():
        names = [prefix + str(p.relative_to(root)) for p in root.rglob('*') if p.is_dir() or p.suffix == '.safetensors']
        raise DistillError(f'no built-in weights at {address}{nearest(address, names)}')
    return str(path)


def licence(weights: str) -> Optional[str]:
    """The licence of weights if it is known to restrict their use; otherwise None."""
    address = Address.parse(str(weights))
    limited = address is not None and re.fullmatch('facebook/DiT-XL-2-(256|512)', address.repo)
    return DIT.licence if limited else None


def local_path(weights: str) -> Optional[Path]:
    """The local folder or file of ``weights``; None for an address on the hub.

    Raises:
        DistillError: It is neither an existing path nor an address on the hub. A text that begins with a local folder
            is never an address on the hub.
    """
    path = Path(builtin(weights)).expanduser()
    if path.is_dir() or path.is_file():
        return path
    if Address.parse(str(weights)) is None:
        trained = '`mmdistill train` writes this folder, so train first, or ' if path.name == 'export' else ''
        raise DistillError(f'no weights at {weights}: {trained}{FORMS}')
    return None


def resolve(weights: str, parts: Sequence[str] = (), tensors: bool = True, fetch: bool = True) -> Path:
    """The local folder or file of ``weights``, after downloading the required files from the hub if necessary.

    Args:
        weights: A path, ``mmdistill://name`` or an address on the hub.
        parts: Required sub-folders. If the folder has none of them, or none is given, the folder itself is a network.
        tensors: Whether to download tensors; False downloads only configs and tokenizers.
        fetch: Whether to download at all; False only looks into the hub's local cache.

    Raises:
        DistillError: There are no such weights, or they cannot be downloaded.
    """
    if (path := local_path(weights)) is not None:
        return path
    address = Address.parse(str(weights))
    assert address is not None
    try:
        root = _fetch(address, parts, tensors) if fetch else _cached(address)
    except (OSError, ValueError) as error:
        raise DistillError(_failure(weights, error) if fetch else
                           f'the configs of {weights} are not in the local cache of the hub: the first run fetches '
                           'them, or give a folder') from None
    if root is None or not (root / address.inside).exists():
        raise DistillError(f'no weights at {weights}: {address.repo} on the hub has no {address.inside or "weights"} '
                           'that can be read')
    return root / address.inside


def _failure(weights: str, error: Exception) -> str:
    """Text about an exception of the hub's client, which has an HTTP response if the hub has answered."""
    missing = f'no weights at {weights}: there is no such folder, and the hub'
    if isinstance(error, OSError) and not error.errno and getattr(error, 'response', None) is None:
        return (f'{missing} cannot be reached ({type(error).__name__}), nor is it in the local cache: connect to the '
                'network, or give the path of a local folder instead')
    return f'{missing} answered: {one_line(error)}'


def _fetch(address: Address, parts: Sequence[str], tensors: bool) -> Optional[Path]:
    """Download the required files of a repository; return its local folder, or None if it has none of the files."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    try:
        info = HfApi().repo_info(address.repo, revision=address.revision)
        names = needed([file.rfilename for file in info.siblings or ()], address.inside, parts, tensors)
        # By the name of the revision, not by info.sha, so that the cache can resolve the name offline.
        return Path(snapshot_download(address.repo, revision=address.revision,
                                      allow_patterns=list(map(glob.escape, names)))) if names else None
    except OSError as error:
        if isinstance(error, HfHubHTTPError):  # the hub has answered: no such repository, or no access
            raise
        try:
            return _cached(address)
        except (OSError, ValueError):
            raise error from None


def _cached(address: Address) -> Path:
    from huggingface_hub import snapshot_download
    return Path(snapshot_download(address.repo, revision=address.revision, local_files_only=True))


def needed(files: Sequence[str], inside: str, parts: Sequence[str], tensors: bool = True) -> Sequence[str]:
    """The files of a repository to download.

    Args:
        files: All files of the repository.
        inside: A folder or file in it.
        parts, tensors: See :func:`resolve`.

    Returns:
        For each part, the ``.json`` and ``.txt`` files, and the variant of the weights that is loaded
        (:func:`~mmdistill.weights.layout.weight_files`).
    """
    if inside in files and inside.endswith(LOADABLE):
        return [inside]
    folders: Dict[str, List[str]] = {}
    for name in files:
        folder, _, file = name.rpartition('/')
        folders.setdefault(folder, []).append(file)
    places = [f'{inside}/{part}'.strip('/') for part in parts]
    wanted = []
    for place in [place for place in places if place in folders] or [inside]:
        wanted += [f'{place}/{name}'.strip('/') for name in _of_folder(folders.get(place, []), tensors)]
    if 'transformer' in parts and 'model_index.json' in folders.get(inside, ()):  # DiT: contains the class names
        wanted.append(f'{inside}/model_index.json'.strip('/'))
    return wanted


def _of_folder(names: Sequence[str], tensors: bool) -> Sequence[str]:
    texts = [name for name in names if name.endswith(('.json', '.txt')) and '.index.' not in name]
    chosen = weight_files(names) if tensors else None
    return [*texts, *(chosen.files if chosen else ())]


def revision_of(path: Path) -> Optional[str]:
    """The commit of a folder or file in the hub's cache; None for other paths."""
    found = re.search(r'/snapshots/([0-9a-f]{40})(?:/|$)', path.absolute().as_posix())
    return found[1] if found else None
