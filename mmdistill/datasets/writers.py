"""Writers: save images and annotations in the layout of an OpenMMLab dataset."""
import io
from pathlib import Path
from typing import Annotated, Any, Dict, Literal, Mapping, Optional, Tuple, Union

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from mmdistill.registry import WRITERS
from mmdistill.settings import PositiveInt, Range, nearest, validated
from .layouts import CLASS_SUFFIXES, LAYOUTS, ClassLayout, SegLayout, get_layout, other_layouts
from .manifest import is_written


_QUALITY = 95  # of JPEG files


def encode_image(image: np.ndarray, image_format: str, quality: int = _QUALITY) -> bytes:
    """Encode an image as a file.

    Args:
        image: RGB uint8 (H, W, 3) or grey uint8 (H, W).
        image_format: ``'PNG'``, ``'TIFF'`` or ``'JPEG'`` (without chroma subsampling).
        quality: Quality of JPEG, 1..100.
    """
    options = dict(quality=quality, subsampling=0) if image_format == 'JPEG' else {}
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, image_format, **options)
    return buffer.getvalue()


def describe_files(image_format: str, size: Tuple[int, int], quality: int = _QUALITY) -> Dict[str, Any]:
    """Properties of image files as JSON values: format, size (H, W) and, for JPEG, quality and chroma subsampling."""
    options = dict(quality=quality, subsampling='4:4:4') if image_format == 'JPEG' else {}
    return dict(format=image_format, size=list(size), **options)


def check_image(request_id: str, image: np.ndarray) -> None:
    """Raise a DistillError unless an image is uint8 (H, W, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise DistillError(f'{request_id}: an image has to be uint8 (H, W, 3), not {image.dtype} {image.shape}')


@WRITERS.register_module()
class SegWriter:
    """Writes image and mask pairs in the layout of an mmseg dataset.

    Files are written atomically, the mask before the image, so a pair is complete once both files exist. The content
    of the files depends only on the pixels.

    Args:
        root: The data root; its folders are created with the first image.
        layout: A layout or its name (:func:`get_layout`).
        dataset: The built source dataset, for the layout ``'source'``.

    Examples:
        >>> writer = SegWriter('work_dirs/run/distilled', 'ade20k')
        >>> writer.write('000003', image, mask)  # images/training/000003.jpg, annotations/training/000003.png
    """
    annotation = 'masks'
    needs = ('dataset', )

    def __init__(self, root: Union[str, Path], layout: Union[str, SegLayout] = 'source', dataset: Any = None) -> None:
        self.root = Path(root)
        self.layout = layout if isinstance(layout, SegLayout) else get_layout(layout, dataset)
        if dataset is not None:
            self._check_classes(dataset)

    def _check_classes(self, dataset: Any) -> None:
        """Raise a DistillError if the dataset has more classes than the layout allows."""
        limit, count = self.layout.num_classes, len(dataset.metainfo.get('classes') or ())
        if not limit or count <= limit:
            return
        others = other_layouts(count)
        problem = f'layout {self.layout.name!r} holds {limit} classes, the dataset {count}'
        try:
            SegLayout.of_dataset(dataset)
        except DistillError as error:  # its message suggests other layouts, or changes of the dataset
            raise DistillError(f'{problem}; {error}') from None
        raise DistillError(f'{problem}: set test_cfg.writer.layout to source{f", {others}" if others else ""}')

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if the ``layout`` in a config is unknown."""
        layout = settings.get('layout', 'source')
        if isinstance(layout, str) and layout not in ('source', *LAYOUTS):
            raise DistillError(f'{where}.layout={layout!r} is unknown{nearest(layout, ["source", *LAYOUTS])}')

    def describe(self, size: Tuple[int, int]) -> Dict[str, Any]:
        """JSON values for the manifest: how images of the generator's ``size`` (H, W) are written."""
        return describe_files(self.layout.image_format, size)

    def paths(self, request_id: str) -> Tuple[Path, Path]:
        """Image and mask file of a request; raises a DistillError for an id that is not a valid file name."""
        if not request_id or request_id.startswith('.') or not set(request_id).isdisjoint('/\\\0\n'):
            raise DistillError(f'request id {request_id!r} is not a valid file name')
        files = self.layout.files(request_id)
        return self.root / files['image'], self.root / files['mask']

    def done(self, request_id: str) -> bool:
        """Whether both files of a request exist and are not empty."""
        return all(is_written(path) for path in self.paths(request_id))

    def write(self, request_id: str, image: np.ndarray, mask: np.ndarray) -> None:
        """Write an image and its mask, replacing existing files.

        Args:
            request_id: Stem of the files.
            image: RGB uint8 (H, W, 3).
            mask: Train ids uint8 (H, W), 255 = ignored.

        Raises:
            DistillError: A shape or type is wrong, the layout lacks a class, the disk is full, or the folder cannot be
                written. No incomplete pair is left.
        """
        check_image(request_id, image)
        if mask.dtype != np.uint8 or mask.shape != image.shape[:2]:
            raise DistillError(f'{request_id}: the mask has to be uint8 {image.shape[:2]} like its image, not '
                               f'{mask.dtype} {mask.shape}')
        image_path, mask_path = self.paths(request_id)
        mask_bytes = encode_image(self.layout.encode(mask), self.layout.mask_format)
        image_bytes = encode_image(image, self.layout.image_format)
        write_atomic(mask_path, mask_bytes)
        try:
            write_atomic(image_path, image_bytes)
        except DistillError:
            # A mask without an image would look like a missing image. If an older image exists, its mask is kept.
            if not image_path.exists():
                mask_path.unlink(missing_ok=True)
            raise

    def image(self, request_id: str) -> np.ndarray:
        """Read the image of a request, RGB uint8 (H, W, 3); raises a DistillError if it cannot be read."""
        path, _ = self.paths(request_id)
        try:
            with Image.open(path) as picture:
                return np.asarray(picture.convert('RGB'))
        except (OSError, SyntaxError) as error:
            raise DistillError(f'{path} is not a readable image ({error}): remove it and run '
                               'again with --resume') from None

    def write_mask(self, request_id: str, mask: np.ndarray) -> None:
        """Replace the mask of a request; train ids uint8 (H, W), 255 = ignored."""
        write_atomic(self.paths(request_id)[1], encode_image(self.layout.encode(mask), self.layout.mask_format))


@WRITERS.register_module()
class ClassWriter:
    """Writes images in ImageNet's layout: ``train/<folder of the class>/<number>.JPEG`` (or ``.png``), and
    ``meta/train.txt``.

    The list is written with the manifest, when all images are finished. The content of the images only depends on the
    pixels. Latents that are needed for later images are saved as ``latents/<folder>/<number>.safetensors``. They are
    written before their image, so they exist whenever the image exists.

    Args:
        root: The data root; its folders are created with the first image of a class.
        size: Side, or (H, W), in pixels, to which images are resized; None keeps the generator's size.
        image_format: ``'JPEG'``, as in ImageNet, or ``'PNG'`` (lossless).
        quality: Quality of JPEG, 1..100; chroma is not subsampled.
        resample: Pillow's filter for resizing to ``size``.

    Examples:
        >>> writer = ClassWriter('work_dirs/run/distilled', size=224)
        >>> writer.write('n01440764/00003', image)  # train/n01440764/00003.JPEG
    """
    annotation = 'classes'

    @validated
    def __init__(self, root: Union[str, Path], size: Union[None, PositiveInt, Tuple[PositiveInt, PositiveInt]] = None,
                 image_format: Literal['JPEG', 'PNG'] = 'JPEG', quality: Annotated[int, Range(1, 100)] = _QUALITY,
                 resample: Literal['lanczos', 'bicubic', 'bilinear', 'hamming', 'box'] = 'lanczos') -> None:
        if image_format == 'PNG' and quality != _QUALITY:
            raise DistillError(f'test_cfg.writer.quality={quality}: PNG has no quality; leave it out, or set '
                               'image_format to JPEG')
        self.root, self.layout = Path(root), ClassLayout(image_suffix=CLASS_SUFFIXES[image_format])
        self.image_format, self.quality, self.resample = image_format, quality, resample
        self.size = (size, size) if isinstance(size, int) else None if size is None else (size[0], size[1])

    def describe(self, size: Tuple[int, int]) -> Dict[str, Any]:
        """JSON values for the manifest: how images of the generator's ``size`` (H, W) are written."""
        written = self.size or size
        resized = {} if written == tuple(size) else dict(resized_from=list(size), resample=self.resample)
        return dict(describe_files(self.image_format, written, self.quality), **resized)

    def path(self, request_id: str) -> Path:
        """The file of a request; raises a DistillError for an id that is not ``folder/name``."""
        parts = request_id.split('/')
        if len(parts) != 2 or any(not part or part.startswith('.') or {'\\', '\0', '\n'} & set(part) for part in parts):
            raise DistillError(f'request id {request_id!r} is not folder/name')
        return self.root / self.layout.files(request_id)['image']

    def files(self, request_id: str) -> Dict[str, str]:
        """Paths of a request's ``image`` and, if they were written, its ``latents``, relative to the root."""
        latents = self._latents_path(request_id)
        saved = dict(latents=str(latents.relative_to(self.root))) if latents.is_file() else {}
        return {**self.layout.files(request_id), **saved}

    def done(self, request_id: str) -> bool:
        """Whether the image of a request exists and is not empty."""
        return is_written(self.path(request_id))

    def write(self, request_id: str, image: np.ndarray, latents: Optional[np.ndarray] = None) -> None:
        """Write an image.

        Args:
            request_id: ``folder/name``.
            image: RGB uint8 (H, W, 3).
            latents: float32 (C, h, w), to be read with :meth:`latents`.

        Raises:
            DistillError: A shape, type or id is wrong, or the files cannot be written.
        """
        check_image(request_id, image)
        path = self.path(request_id)
        if self.size and self.size != image.shape[:2]:
            image = np.asarray(Image.fromarray(image).resize(self.size[::-1], Image.Resampling[self.resample.upper()]))
        if latents is not None:
            write_atomic(self._latents_path(request_id), save(dict(latents=np.ascontiguousarray(latents))))
        write_atomic(path, encode_image(image, self.image_format, self.quality))

    def latents(self, request_id: str) -> np.ndarray:
        """Read the latents saved with an image, float32 (C, h, w); raises a DistillError if they cannot be read."""
        path = self._latents_path(request_id)
        try:
            return load_file(path)['latents']
        except (OSError, SafetensorError, KeyError) as error:
            raise DistillError(f'{path} is missing or not readable ({error}), and later images of its class depend on '
                               f'it: remove {self.path(request_id)} too, and run again with --resume') from None

    def _latents_path(self, request_id: str) -> Path:
        return self.root / 'latents' / f'{request_id}.safetensors'
