"""An MMEngine storage backend that converts COCO-Stuff masks of all official formats to PNGs of train ids.

Stock ``LoadAnnotations``, and everything else that reads a ``seg_map_path``, can therefore read ``cocostuff://`` URIs:
``cocostuff://stuffthingmaps/<file>.png``, ``cocostuff://mat/<file>.mat`` and
``cocostuff://json/<stuff file>+<things file>#<image id>``, percent-encoded.
"""
import io
from typing import Dict, List, Sequence, Tuple
from urllib.parse import quote, unquote

import numpy as np
from mmengine.fileio import BaseStorageBackend, get, register_backend
from PIL import Image

from mmdistill.errors import DistillError, one_line
from mmdistill.selection.masks import read_mask
from .ids import from_matrix, from_pixel_map
from .index import JsonIndex

SCHEME = 'cocostuff'
_indexes: Dict[Tuple[Tuple[str, ...], bool], JsonIndex] = {}  # those that this process has built or received


def mask_uri(form: str, files: Sequence[str], image_id: int = 0, crowds: bool = False) -> str:
    """The URI of a mask.

    Args:
        form: ``'stuffthingmaps'``, ``'mat'`` or ``'json'``.
        files: One PNG or .mat file; for ``'json'`` the stuff file and the things file.
        image_id, crowds: Only for ``'json'``.
    """
    path = '+'.join(quote(str(file)) for file in files)
    return f'{SCHEME}://{form}/{path}' + (f'{"?crowds" * crowds}#{image_id}' if form == 'json' else '')


def split_uri(uri: str) -> Tuple[str, List[str], int, bool]:
    """The arguments of :func:`mask_uri`; raises a FileNotFoundError for any other URI."""
    try:
        form, _, rest = str(uri).partition('://')[2].partition('/')
        path, _, item = rest.partition('#')
        path, _, options = path.partition('?')
        if form not in _READERS or not path:
            raise ValueError
        return form, [unquote(file) for file in path.split('+')], int(item or 0), options == 'crowds'
    except ValueError:
        raise FileNotFoundError(f'no mask of COCO-Stuff: {uri}') from None


def json_index(files: Sequence[str], crowds: bool) -> JsonIndex:
    """The index of JSON files, built once per process; worker processes receive it (:func:`share_index`)."""
    key = tuple(files), crowds
    if key not in _indexes:
        _indexes[key] = JsonIndex(files, crowds)
    return _indexes[key]


def share_index(index: JsonIndex) -> None:
    """Use an index that was built in another process."""
    _indexes.setdefault((index.files, index.crowds), index)


def read(uri: str) -> np.ndarray:
    """Read the mask at a URI.

    Returns:
        Train ids uint8 (H, W), 0..170 and 255.

    Raises:
        DistillError: The mask cannot be read or has an id without a class; the message has file and id.
    """
    form, files, image_id, crowds = split_uri(uri)
    return _READERS[form](files, image_id, crowds)


def _read_json(files: List[str], image_id: int, crowds: bool) -> np.ndarray:
    return json_index(files, crowds).mask(image_id)


def _read_pixel_map(files: List[str], *_) -> np.ndarray:
    return from_pixel_map(read_mask(get(files[0]), files[0], num_classes=182), files[0])


def _read_matrix(files: List[str], *_) -> np.ndarray:
    from scipy.io import loadmat
    data = get(files[0])
    try:
        ids = loadmat(io.BytesIO(data), variable_names=['S'])['S']
    except Exception as error:  # scipy raises many different errors
        reason = 'it has no matrix S' if isinstance(error, KeyError) else one_line(error)
        raise DistillError(f'{files[0]} is not a readable mask of COCO-Stuff 10k ({reason}): unpack it again') from None
    return from_matrix(ids, files[0])


_READERS = dict(json=_read_json, stuffthingmaps=_read_pixel_map, mat=_read_matrix)


@register_backend(SCHEME, prefixes=SCHEME, force=True)
class COCOStuffBackend(BaseStorageBackend):
    """Read-only storage of masks at ``cocostuff://``."""

    def get(self, filepath) -> bytes:
        """The mask as a grey PNG of train ids; raises :class:`FileNotFoundError` for a missing file."""
        buffer = io.BytesIO()
        Image.fromarray(read(filepath)).save(buffer, 'PNG', compress_level=1)
        return buffer.getvalue()

    def get_text(self, filepath, encoding: str = 'utf-8') -> str:
        """Not supported: masks are binary."""
        raise FileNotFoundError(f'{filepath} is not text')

    @staticmethod
    def sources(filepath: str) -> List[str]:
        """The files from which a mask is read."""
        return split_uri(filepath)[1]
