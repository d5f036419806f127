"""Verifies that a distilled set agrees with its manifest."""
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator, List, Mapping, Optional, Union

import numpy as np
from PIL import Image

from mmdistill.documents import inside, read_file
from mmdistill.errors import DistillError, counted
from mmdistill.masks import IGNORE
from .checksums import damaged_files, foreign_files
from .layouts import OF_TASK, SegLayout
from .manifest import MANIFEST, RESTORE, manifest_checksum, read_manifest

_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def verify_set(root: Union[str, Path]) -> List[str]:
    """The problems of a distilled set, one line per file; empty for a valid set.

    All files in the manifest must exist with their checksums; images must be readable; masks must have the size of
    their image and valid class ids; file names and the list of images must match the layout; and the folders must not
    contain other files, since datasets that list the folders would read them.

    Raises:
        DistillError: There is no finished set, or its manifest cannot be read.
    """
    manifest = read_manifest(root)
    damaged = dict(damaged_files(root, manifest['images']))
    problems = [*_of_manifest(manifest), *(f'{name} {reason}' for name, reason in damaged.items())]
    listed = {image[kind] for image in manifest['images'] for kind in ('image', 'mask', 'latents') if kind in image}
    decoding = None
    if layout_class := OF_TASK.get(manifest['task']):
        layout: Any = layout_class.from_dict(manifest['layout'])
        decoding = layout.decoding() if isinstance(layout, SegLayout) else None
        problems += _of_layout(Path(root), layout, manifest)
        folders = [layout.image_dir, getattr(layout, 'mask_dir', layout.image_dir)]
        problems += [f'{name} is not in the manifest, and datasets that list its folder would read it'
                     for name in foreign_files(root, folders, listed | {layout.ann_file, MANIFEST})]
    for image in manifest['images']:
        if not {image['image'], image.get('mask')} & damaged.keys():
            problems += (f'{image["id"]}: {problem}' for problem in _of_image(Path(root), manifest, image, decoding))
    return problems


def check_set(root: Union[str, Path]) -> None:
    """Raise a DistillError with the first problem of a set (:func:`verify_set`) and the number of the others."""
    _report(root, verify_set(root), f'{RESTORE}; remove files that do not belong to it')


def check_checksums(root: Union[str, Path], manifest: Mapping[str, Any]) -> None:
    """Like :func:`check_set`, but the files in the ``manifest`` are only compared with their checksums, not decoded."""
    damaged = damaged_files(root, manifest['images'])
    _report(root, [*_of_manifest(manifest), *(f'{name} {reason}' for name, reason in damaged)], RESTORE)


def _of_manifest(manifest: Mapping[str, Any]) -> Iterator[str]:
    if 'checksum' in manifest and manifest['checksum'] != manifest_checksum(manifest):
        yield f'{MANIFEST} was changed after it was written: its checksum differs'


def _report(root: Union[str, Path], problems: List[str], advice: str) -> None:
    if problems:
        others = f' (and {len(problems) - 1} more: mmdistill verify {root})' if len(problems) > 1 else ''
        raise DistillError(f'{root} is incomplete or damaged: {problems[0]}{others}; {advice}')


def _of_layout(root: Path, layout: Any, manifest: Mapping[str, Any]) -> Iterator[str]:
    for image in manifest['images']:
        names = layout.files(image['id'])
        if other := [kind for kind, name in names.items() if image.get(kind) != name]:
            yield f'{image["id"]}: its {other[0]} is {image.get(other[0])}, the layout says {names[other[0]]}'
    if layout.ann_file:
        requests = [SimpleNamespace(id=image['id'], classes=image['classes']) for image in manifest['images']]
        try:
            found = read_file(inside(root, Path(layout.ann_file).as_posix())).decode()
        except (OSError, ValueError) as error:
            yield f'{layout.ann_file} cannot be read ({error})'
        else:
            if found != layout.ann_text(SimpleNamespace(requests=requests)):
                yield f'{layout.ann_file} lists other images or classes than the manifest'


def _of_image(root: Path, manifest: Mapping[str, Any], image: Mapping[str, Any], decoding: Optional[np.ndarray]
              ) -> Iterator[str]:
    try:
        size = _pixels(root / image['image'], 'RGB').shape[:2]
        if 'mask' not in image or decoding is None:
            return
        mask = _pixels(root / image['mask'])
    except _UNREADABLE as error:
        yield f'an image or mask cannot be read ({error})'
        return
    if mask.ndim != 2 or mask.dtype != np.uint8 or mask.shape != size:
        yield f'its mask is {mask.dtype} {mask.shape}, its image {size}'
        return
    ids = np.unique(decoding[mask])
    if wrong := [int(one) for one in ids if one >= len(manifest['classes']) and one != IGNORE]:
        yield f'its mask has class id {wrong[0]} of {len(manifest["classes"])} classes'
    elif strangers := set(ids.tolist()) - {IGNORE, *image['classes']}:
        yield f'its mask shows class {min(strangers)}, the manifest says {image["classes"]}'


def _pixels(path: Path, mode: str = '') -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode) if mode else picture)


def summary(root: Union[str, Path]) -> str:
    """One line about a valid set."""
    manifest = read_manifest(root)
    images = manifest['images']
    bare = '; its manifest has no checksums' if any('sha256' not in image for image in images) else (
        '' if 'checksum' in manifest else '; the manifest itself has no checksum')
    return f'{root}: {counted(len(images), "image")}, complete{bare}'
