"""Reads real images as OpenMMLab does for training, with the loading transform from the dataset's pipeline."""
import copy
import io
import json
import os
import os.path as osp
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.fileio import get as read_file
from mmengine.fileio.backends import backends
from mmengine.fileio.io import backend_instances
from PIL import Image, UnidentifiedImageError

from mmdistill.errors import DistillError, one_line
from mmdistill.files import config_hash, files_fingerprint

_ORIENTATION = 0x0112  # EXIF's tag
_END = 64  # bytes at the end of a file that must contain the end marker
_PNG_EXIF = {'exif', 'Raw profile type exif', 'xmp', 'XML:com.adobe.xmp'}

if hasattr(os, 'register_at_fork'):
    # Open zip files and databases must not be shared with forked workers, so each process creates its backends.
    os.register_at_fork(after_in_child=backend_instances.clear)


class ImageReader:
    """Reads images as in a training on the dataset. Every error names the file.

    Args:
        transform: The loading transform: mmcv's ``LoadImageFromFile`` (default), or another one that loads ``img``
            (BGR) from ``img_path``.
    """

    def __init__(self, transform: Any = None) -> None:
        self.transform = transform or LoadImageFromFile()

    @classmethod
    def of_dataset(cls, dataset: Any) -> 'ImageReader':
        """A reader with the first transform of the dataset's pipeline that loads images.

        The default is stock ``LoadImageFromFile``. A transform without ``backend_args`` gets the dataset's.
        """
        found = (transform for transform in loading_transforms(dataset) if not isinstance(transform, LoadAnnotations))
        return cls(with_backend(next(found, LoadImageFromFile()), dataset))

    def __call__(self, path: str, info: Optional[Mapping[str, Any]] = None) -> np.ndarray:
        """Read an image.

        Args:
            path: Path or URI.
            info: The dataset's entry for the image, for custom transforms that need it.

        Returns:
            RGB uint8 (H, W, 3).

        Raises:
            DistillError: The file cannot be read, or is not loaded as an 8-bit grey or colour image.
        """
        try:
            results = self.transform(dict(info or {}, img_path=path))
            if results is None:  # ignore_empty
                raise ValueError('failed to load image')
            image = np.asarray(results['img'])
        except Exception as error:  # backends, decoders and transforms may raise anything
            raise unreadable(path, 'image', error) from None
        return _rgb(image, path, type(self.transform).__name__)

    def size(self, path: str, info: Optional[Mapping[str, Any]] = None) -> Tuple[int, int]:
        """(H, W) of the image that :meth:`__call__` returns, from the file's header if that is reliable."""
        transform = self.transform
        if type(transform).transform is LoadImageFromFile.transform and transform.file_client_args is None and (
                transform.imdecode_backend in ('cv2', 'pillow') and transform.color_type != 'unchanged'):
            try:
                size = _header_size(read_file(path, transform.backend_args))
            except Exception:  # the transform decides: OpenCV reads files that Pillow does not
                size = None
            if size:
                return size
        height, width, _ = self(path, info).shape
        return height, width

    def fingerprint(self, paths: Sequence[str], *how: Any, root: str = '') -> str:
        """See :func:`fingerprint`."""
        return fingerprint(paths, self.transform, *how, root=root)

    def public(self) -> Dict[str, Any]:
        """The non-default arguments of ``LoadImageFromFile``, without possible secrets.

        Of ``backend_args``, only the name, numbers and local paths are included. Empty for other transforms.
        """
        if type(self.transform) is not LoadImageFromFile:
            return {}
        stock = LoadImageFromFile()
        found = {key: value for key in ('color_type', 'imdecode_backend')
                 if (value := getattr(self.transform, key)) != getattr(stock, key)}
        args = {key: value for key, value in (self.transform.backend_args or {}).items()
                if key == 'backend' or isinstance(value, (int, float)) or isinstance(value, str) and osp.exists(value)}
        return dict(found, backend_args=args) if args else found


class UnionReader:
    """Reads images of several datasets by their paths, each with the reader of its dataset."""

    def __init__(self, datasets: Sequence[Any]) -> None:
        self._readers = [ImageReader.of_dataset(dataset) for dataset in datasets]
        self._numbers = {str(dataset.get_data_info(index).get('img_path')): number
                         for number, dataset in enumerate(datasets[1:], 1) for index in range(len(dataset))}

    def __call__(self, path: str) -> np.ndarray:
        """See :meth:`ImageReader.__call__`."""
        return self._readers[self._numbers.get(path, 0)](path)

    def fingerprint(self, paths: Sequence[str], *how: Any, root: str = '') -> str:
        """See :func:`fingerprint`."""
        numbers = [self._numbers.get(path, 0) for path in paths]
        return config_hash([how, numbers, *(
            reader.fingerprint([path for path, one in zip(paths, numbers) if one == number], root=root)
            for number, reader in enumerate(self._readers))])


def loading_transforms(dataset: Any) -> List[Any]:
    """The transforms of a dataset's pipeline that load files."""
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return [transform for transform in transforms if isinstance(transform, (LoadImageFromFile, LoadAnnotations))
            or type(transform).__name__.startswith('Load')]


def with_backend(transform: Any, dataset: Any) -> Any:
    """A copy of a loading transform, with the dataset's ``backend_args`` if it has none.

    Raises:
        DistillError: The storage backend cannot be used (:func:`check_backend`).
    """
    transform = copy.copy(transform)
    if getattr(transform, 'backend_args', 0) is None and not getattr(transform, 'file_client_args', None):
        transform.backend_args = getattr(dataset, 'backend_args', None)
    check_backend(getattr(transform, 'backend_args', None))
    return transform


def check_backend(args: Any, where: str = 'backend_args') -> None:
    """Raise a DistillError if the storage backend in ``args``, the value of the key ``where``, cannot be used."""
    name = args.get('backend') if isinstance(args, Mapping) else None
    if name is None:
        return
    if name not in backends:
        raise DistillError(f'{where}: no storage backend {name!r} is registered: use one of '
                           f'{", ".join(sorted(backends))}, or import yours through custom_imports')
    try:
        get_file_backend(backend_args=args, enable_singleton=True)
    except Exception as error:  # a missing package or archive, wrong settings
        raise DistillError(f'{where}: the storage backend {name!r} cannot be used ({_reason(error)}): correct its '
                           'settings, or install what it needs') from None


def fingerprint(paths: Sequence[str], transform: Any, *how: Any, root: str = '') -> str:
    """Hash of the local files behind these paths, and of how they are read.

    Args:
        paths: Paths or URIs. Remote files are assumed unchanged as long as their URIs are.
        transform: The transform that reads them.
        how: Further settings that affect the reading (JSON values).
        root: Folder below which paths may be moved without changing the hash.
    """
    backend_args = getattr(transform, 'backend_args', None)
    archives = [value for value in (backend_args or {}).values() if isinstance(value, str) and osp.isfile(value)]
    files, uris = dict.fromkeys(archives), []
    for path in paths:
        found = local_files(path, backend_args)
        files.update(dict.fromkeys(found))
        uris += [path] if found != [path] else []
    plain = {key: value for key, value in vars(transform).items() if _is_plain(value)}
    reader = [f'{type(transform).__module__}.{type(transform).__qualname__}', plain]
    return files_fingerprint(files, config_hash([*how, reader, uris]), root)


def local_files(path: str, backend_args: Optional[dict] = None) -> List[str]:
    """The local files from which a path or URI is read, as far as its storage backend knows (``sources()``)."""
    if not backend_args and '://' not in path:
        return [path]
    backend: Any = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    if hasattr(backend, 'sources'):
        return backend.sources(path)
    return [path] if type(backend) is LocalBackend else []


def unreadable(path: str, what: str, error: BaseException) -> DistillError:
    """The error for an image or mask that could not be read, from the exception of its backend or decoder."""
    if isinstance(error, DistillError):
        return error
    reason, advice = _reason(error), 'replace or remove it'
    if 'CV_IO_MAX_IMAGE' in reason or isinstance(error, Image.DecompressionBombError):
        reason, advice = 'it has too many pixels', 'scale it down or cut it into tiles'
    elif 'buf.empty' in reason:
        reason = 'it is empty'
    elif isinstance(error, UnidentifiedImageError) or reason.startswith('failed to load image'):
        reason = 'it is truncated, damaged, or of an unknown format'
    elif isinstance(error, (FileNotFoundError, NotADirectoryError)):
        advice = 'add it, or check data_root, data_prefix and the suffixes'
    return DistillError(f'{path} is not a readable {what} ({reason}): {advice}')


def _reason(error: BaseException) -> str:
    """The message of an error on one line."""
    if plain := getattr(error, 'strerror', None) or getattr(error, 'err', None):
        return one_line(plain)
    known = (OSError, ValueError, SyntaxError, AssertionError, ImportError, cv2.error)
    return one_line(error, named=not isinstance(error, known))


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _header_size(data: bytes) -> Optional[Tuple[int, int]]:
    """(H, W) from the header of a JPEG or PNG file.

    None for other formats, for images that an EXIF orientation rotates, and for files without an end marker, which may
    be truncated.
    """
    if not any(mark in data[-_END:] for mark in (b'\xff\xd9', b'IEND')):
        return None
    with Image.open(io.BytesIO(data)) as image:
        if image.format == 'JPEG':
            upright = image.getexif().get(_ORIENTATION, 1) == 1
        else:
            upright = image.format == 'PNG' and _PNG_EXIF.isdisjoint(image.info) and b'eXIf' not in data
        return (image.height, image.width) if upright else None


def _rgb(image: np.ndarray, path: str, loader: str) -> np.ndarray:
    """Convert a loaded image, BGR or grey with 8-bit values of any type, to RGB uint8 (H, W, 3)."""
    if image.dtype.kind == 'f':  # to_float32
        with np.errstate(invalid='ignore'):
            whole = image.astype(np.uint8)
        image = whole if np.array_equal(whole, image) else image
    channels = image.shape[2] if image.ndim == 3 else int(image.ndim == 2)
    if image.dtype != np.uint8 or channels not in (1, 3):
        raise DistillError(f'{path} is {image.dtype} {image.shape} as {loader} loads it, but generators need 8-bit '
                           'grey or RGB images: convert it, or use LoadImageFromFile() without color_type')
    if channels == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, 2)
    return np.ascontiguousarray(image[..., ::-1])
