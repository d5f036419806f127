"""The images of distilled sets, grouped by class."""
import base64
import io
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from mmcv.transforms import LoadImageFromFile
from PIL import Image

import mmdistill.toy.storage  # noqa: F401  registers the storage backend of the built-in pictures
from mmdistill.datasets.reading import ImageReader
from mmdistill.documents import inside
from mmdistill.errors import DistillError
from .tables import Cell
from .work_dirs import DistilledSet, WorkDir

_MOST = 120
_MAX_SIDE, _SMALL = 256, 96
_NAMED = 5
_BUILT_IN = re.compile(r'(streets|objects)://\w{1,9}/\d{1,3}/(images/\d{1,9}|\w{1,30}/\d{1,9})\.png')
_LOCAL = ('zip', 'lmdb')  # storage backends of local archives


def gallery(work: WorkDir, names: Tuple[str, ...]) -> Dict[str, Any]:
    """Template values for sets of the same requests, shown side by side.

    For each request: the real image and the annotation, if available, and the image in each set.
    """
    sets = {name: work.distilled[name] for name in names}
    manifest, shares, drawn = sets[names[0]].manifest, work.real_shares, work.task.drawn
    classes, palette = manifest['classes'], manifest['palette']
    rank = rarity(manifest, shares if shares and set(classes) <= shares.keys() else None)
    members = by_class(manifest, rank)
    most = max(1, _MOST // max(len(members), 1))
    groups: List[Dict[str, Any]] = [
        dict(title=Cell(classes[index], palette[index] if palette else None), count=len(positions),
             cards=[_card(work, sets, position, index, rank) for position in positions[:most]])
        for index, positions in members.items()]
    cards = [card for group in groups for card in group['cards']]
    return dict(groups=groups, drawn=drawn, real=any(card['real'] for card in cards),
                width=max((len(card['pictures']) for card in cards), default=1),
                small=max((card['side'] for card in cards), default=0) <= _SMALL,
                shown=len(cards), total=sum(group['count'] for group in groups),
                legend=list(zip(palette, classes)) if drawn else [])


def _card(work: WorkDir, sets: Mapping[str, DistilledSet], position: int, index: int, rank: Mapping[int, int]
          ) -> Dict[str, Any]:
    """Template values of one request: real image (if readable), annotation (if the task has one), distilled images."""
    first = next(iter(sets.values()))
    image, classes = first.manifest['images'][position], first.manifest['classes']
    pictures = [(name, _read(one, one.manifest['images'][position]['image']).convert('RGB'), False)
                for name, one in sets.items()]
    size = pictures[0][1].size
    if work.task.drawn:
        drawing = work.task.draw(first.manifest, image, lambda name: np.asarray(_read(first, name)))
        pictures.insert(0, (work.task.drawn, Image.fromarray(drawing), True))
    reading = first.manifest.get('extra', {}).get('reading')
    real = _real(image['source'], size, reading, work.data_roots) if image.get('source') else None
    if real:
        pictures.insert(0, ('real', real, False))
    others = sorted({*image['classes']} - {index}, key=rank.__getitem__)
    return dict(id=image['id'], also=[classes[other] for other in others[:_NAMED]], more=len(others[_NAMED:]),
                side=max(size), real=real is not None,
                pictures=[(name, _data_uri(picture, exact)) for name, picture, exact in pictures])


def rarity(manifest: Mapping[str, Any], shares: Optional[Mapping[str, float]] = None) -> Dict[int, int]:
    """Rank of each class id, 0 for the rarest, by ``shares`` or else by the number of images in which it occurs."""
    shown = [index for image in manifest['images'] for index in image['classes']]
    amounts = [shown.count(index) if shares is None else shares[name] for index, name in enumerate(manifest['classes'])]
    return {index: rank for rank, index in enumerate(sorted(range(len(amounts)), key=amounts.__getitem__))}


def by_class(manifest: Mapping[str, Any], rank: Mapping[int, int]) -> Dict[int, List[int]]:
    """Positions of the images, grouped by the rarest class in each image; the rarest class comes first."""
    groups: Dict[int, List[int]] = {}
    for position, image in enumerate(manifest['images']):
        if image['classes']:
            groups.setdefault(min(image['classes'], key=rank.__getitem__), []).append(position)
    return dict(sorted(groups.items(), key=lambda item: rank[item[0]]))


def _read(distilled: DistilledSet, name: str) -> Image.Image:
    try:
        picture = Image.open(inside(distilled.root, name))
        picture.load()
        return picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DistillError(f'cannot read {name} in {distilled.root} ({error}): restore it, or delete '
                           'meta/distilled.json and resume the distillation') from None


def _real(source: str, size: Tuple[int, int], reading: Any, roots: Sequence[Path]) -> Optional[Image.Image]:
    """The source image resized to ``size``, read with the manifest's settings; None if it is not available.

    Manifests are not trusted: only built-in pictures, and local files and archives inside ``roots``, are read.
    """
    settings = dict(reading) if isinstance(reading, Mapping) else {}
    args = settings.get('backend_args') or {}
    if not isinstance(args, Mapping):
        return None
    archives = [value for key, value in args.items() if key != 'backend']
    if args and not (args.get('backend') in _LOCAL and all(_is_in(value, roots) for value in archives)):
        return None
    if not (args or _BUILT_IN.fullmatch(source) or _is_in(source, roots)):
        return None
    try:
        reader = ImageReader(LoadImageFromFile(**settings))
        return Image.fromarray(reader(source)).resize(size, Image.Resampling.BOX)
    except (DistillError, TypeError, AttributeError, ValueError):
        return None


def _is_in(path: Any, roots: Sequence[Path]) -> bool:
    """Whether a local path is inside one of the folders after links are resolved."""
    if not isinstance(path, str) or '://' in path or '\0' in path:
        return False
    place = Path(path).resolve()
    return any(place.is_relative_to(root.resolve()) for root in roots)


def _data_uri(picture: Image.Image, exact: bool) -> str:
    """A picture as a data URI, shrunk to at most :data:`_MAX_SIDE` pixels per side."""
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.NEAREST if exact else Image.Resampling.LANCZOS)
    file_format, settings = ('PNG', dict(optimize=True)) if exact or max(picture.size) <= _SMALL else (
        'JPEG', dict(quality=88))
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **settings)
    return f'data:image/{file_format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}'
