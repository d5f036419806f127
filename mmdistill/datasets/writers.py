"""Writers: lay images and labels down as a dataset of OpenMMLab."""
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
    """File bytes of RGB uint8 (H, W, 3) or grey uint8 (H, W): PNG, TIFF, or JPEG without chroma subsampling."""
    options = dict(quality=quality, subsampling=0) if image_format == 'JPEG' else {}
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, image_format, **options)
    return buffer.getvalue()


def describe_files(image_format: str, size: Tuple[int, int], quality: int = _QUALITY) -> Dict[str, Any]:
    """JSON values on image files: format, size (H, W) and, of JPEG, quality and chroma subsampling."""
    options = dict(quality=quality, subsampling='4:4:4') if image_format == 'JPEG' else {}
    return dict(format=image_format, size=list(size), **options)


def check_image(request_id: str, image: np.ndarray) -> None:
    """Raise a DistillError where an image is not RGB uint8 (H, W, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise DistillError(f'{request_id}: an image has to be uint8 (H, W, 3), not {image.dtype} {image.shape}')


@WRITERS.register_module()
class SegWriter:
    """Writes image and mask pairs in the layout of a dataset of mmseg.

    A pair is finished as soon as both files are there: each is written atomically, the mask first. The bytes depend
    on the pixels alone.

    Args:
        root: The data root; its folders are made with the first image.
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
        """Raise a DistillError where the layout holds fewer classes than the dataset has."""
        limit, count = self.layout.num_classes, len(dataset.metainfo.get('classes') or ())
        if not limit or count <= limit:
            return
        others = other_layouts(count)
        problem = f'layout {self.layout.name!r} holds {limit} classes, the dataset {count}'
        try:
            SegLayout.of_dataset(dataset)
        except DistillError as error:  # which names others, or says what else to do
            raise DistillError(f'{problem}; {error}') from None
        raise DistillError(f'{problem}: set test_cfg.writer.layout to source{f", {others}" if others else ""}')

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Check the settings of a config: the layout is known."""
        layout = settings.get('layout', 'source')
        if isinstance(layout, str) and layout not in ('source', *LAYOUTS):
            raise DistillError(f'{where}.layout={layout!r} is unknown{nearest(layout, ["source", *LAYOUTS])}')

    def describe(self, size: Tuple[int, int]) -> Dict[str, Any]:
        """JSON values for the manifest: how images of the generator's ``size`` (H, W) are written."""
        return describe_files(self.layout.image_format, size)

    def paths(self, request_id: str) -> Tuple[Path, Path]:
        """The files of a request: image, mask; a DistillError for an id that is no plain file name."""
        if not request_id or request_id.startswith('.') or not set(request_id).isdisjoint('/\\\0\n'):
            raise DistillError(f'request id {request_id!r} is no file name')
        files = self.layout.files(request_id)
        return self.root / files['image'], self.root / files['mask']

    def done(self, request_id: str) -> bool:
        """Whether both files of a request are there and not empty."""
        return all(is_written(path) for path in self.paths(request_id))

    def write(self, request_id: str, image: np.ndarray, mask: np.ndarray) -> None:
        """Write a pair, an RGB uint8 (H, W, 3) and train ids uint8 (H, W), 255 = ignored; one that exists is replaced.

        Raises:
            DistillError: Wrong shape or type, a class that the layout does not have, a full disk, a folder that cannot
                be written. No half of a pair stays behind.
        """
        check_image(request_id, image)
        if mask.dtype != np.uint8 or mask.shape != image.shape[:2]:
            raise DistillError(f'{request_id}: the mask has to be uint8 {image.shape[:2]} as its image is, not '
                               f'{mask.dtype} {mask.shape}')
        image_path, mask_path = self.paths(request_id)
        mask_bytes = encode_image(self.layout.encode(mask), self.layout.mask_format)
        image_bytes = encode_image(image, self.layout.image_format)
        write_atomic(mask_path, mask_bytes)
        try:
            write_atomic(image_path, image_bytes)
        except DistillError:
            # A mask alone would look like a set with a missing image; the mask of an older image stays.
            if not image_path.exists():
                mask_path.unlink(missing_ok=True)
            raise

    def image(self, request_id: str) -> np.ndarray:
        """The image of a request as its file has it, RGB uint8 (H, W, 3); a DistillError where it cannot be read."""
        path, _ = self.paths(request_id)
        try:
            with Image.open(path) as picture:
                return np.asarray(picture.convert('RGB'))
        except (OSError, SyntaxError) as error:
            raise DistillError(f'{path} is not a readable image ({error}): remove it, and --resume makes it '
                               'again') from None

    def write_mask(self, request_id: str, mask: np.ndarray) -> None:
        """Replace the mask of a request; train ids uint8 (H, W), 255 = ignored."""
        write_atomic(self.paths(request_id)[1], encode_image(self.layout.encode(mask), self.layout.mask_format))


@WRITERS.register_module()
class ClassWriter:
    """Writes images in ImageNet's layout: ``train/<folder of the class>/<number>.JPEG`` (or ``.png``), and
    ``meta/train.txt``.

    The list is written with the manifest, when all images are there. The bytes depend on the pixels alone. Latents
    that later images depend on go to ``latents/<folder>/<number>.safetensors``, before their image: where that is
    there, so are they.

    Args:
        root: The data root; its folders are made with the first image of a class.
        size: Side, or (H, W), in pixels that images are resized to; None keeps the generator's.
        image_format: ``'JPEG'``, as ImageNet has it, or ``'PNG'``, without loss.
        quality: Of JPEG, whose chroma is not subsampled.
        resample: Pillow's filter for another ``size``.

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
        """The file of a request; a DistillError for an id that is not ``folder/name``."""
        parts = request_id.split('/')
        if len(parts) != 2 or any(not part or part.startswith('.') or {'\\', '\0', '\n'} & set(part) for part in parts):
            raise DistillError(f'request id {request_id!r} is not folder/name')
        return self.root / self.layout.files(request_id)['image']

    def files(self, request_id: str) -> Dict[str, str]:
        """The files of a request, paths below the root: its ``image`` and, where they were written, its ``latents``."""
        latents = self._latents_path(request_id)
        own = dict(latents=str(latents.relative_to(self.root))) if latents.is_file() else {}
        return {**self.layout.files(request_id), **own}

    def done(self, request_id: str) -> bool:
        """Whether the image of a request is there and not empty."""
        return is_written(self.path(request_id))

    def write(self, request_id: str, image: np.ndarray, latents: Optional[np.ndarray] = None) -> None:
        """Write an RGB uint8 (H, W, 3), and the float32 ``latents`` (C, h, w) that :meth:`latents` reads back."""
        check_image(request_id, image)
        path = self.path(request_id)
        if self.size and self.size != image.shape[:2]:
            image = np.asarray(Image.fromarray(image).resize(self.size[::-1], Image.Resampling[self.resample.upper()]))
        if latents is not None:
            write_atomic(self._latents_path(request_id), save(dict(latents=np.ascontiguousarray(latents))))
        write_atomic(path, encode_image(image, self.image_format, self.quality))

    def latents(self, request_id: str) -> np.ndarray:
        """The latents that were written with an image, float32 (C, h, w); a DistillError where they cannot be read."""
        path = self._latents_path(request_id)
        try:
            return load_file(path)['latents']
        except (OSError, SafetensorError, KeyError) as error:
            raise DistillError(f'{path} is missing or not readable ({error}), and later images of its class depend on '
                               f'it: remove {self.path(request_id)} too, and --resume makes both again') from None

    def _latents_path(self, request_id: str) -> Path:
        return self.root / 'latents' / f'{request_id}.safetensors'
