"""Converts any official format of COCO-Stuff to mask files of train ids."""
import io
import os.path as osp
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterable, Optional, Tuple

from PIL import Image

from mmdistill.datasets.layouts import LAYOUTS, SegLayout
from mmdistill.errors import DistillError
from mmdistill.files import write_atomic
from mmdistill.parallel import parallel_map
from .forms import json_index, mask_uri, read

SUFFIX = '_labelTrainIds.png'
FORMS = ('stuffthingmaps', 'json', 'mat')
_CHUNK = 16


def convert_masks(form: str, masks: str, out: str, things: str = '', names: str = '', images: str = '',
                  crowds: bool = False, workers: Optional[int] = None,
                  progress: Optional[Callable[[Iterable, int], Iterable]] = None) -> str:
    """Write ``<stem>_labelTrainIds.png`` for each mask, as mmseg's converters do.

    Masks from the JSON and the pixel maps have ids 0..170 and 255, as mmseg's 164k configs read them. Masks from the
    .mat files of the 10k set have ids 1..171 and 0, as mmseg's 10k configs read them with ``reduce_zero_label=True``.
    Existing files are kept, so an interrupted conversion can be resumed. Files are written atomically.

    Args:
        form: ``'stuffthingmaps'``, ``'json'`` or ``'mat'``.
        masks: Folder of the PNG or .mat files, or the stuff JSON.
        out: Folder of the new files.
        things: The instances JSON; only with ``'json'``.
        names: A file with one stem per line; only these masks are converted.
        images: A folder of images; only their masks are converted.
        crowds: See :class:`~.index.JsonIndex`.
        workers: Number of processes; default: the number of cores.
        progress: Called as ``progress(iterable, total)``; returns an iterable that shows progress.

    Returns:
        str: A sentence with the number of written masks.

    Raises:
        DistillError: There is no mask, or a mask cannot be read; the message has the file and the id.
    """
    if form not in FORMS:
        raise DistillError(f'form {form!r} is unknown: give {", ".join(FORMS)}')
    if things and form != 'json':
        raise DistillError(f"the instances file is only for form 'json', and form is {form!r}: leave it out")
    found = _masks(form, masks, things, crowds)
    wanted = _wanted(found, names, images)
    missing = {stem: uri for stem, uri in wanted.items() if not _is_there(Path(out, stem + SUFFIX))}
    layout = LAYOUTS['coco_stuff10k' if form == 'mat' else 'coco_stuff164k']
    done: Iterable = parallel_map(partial(_write, out=out, layout=layout), list(missing.items()), 'converts masks',
                                  workers, _CHUNK)
    for _ in progress(done, len(missing)) if progress and missing else done:
        pass
    return (f'{len(missing)} masks written to {out}, {len(wanted) - len(missing)} already existed'
            + ('; read them with reduce_zero_label=True' if layout.reduce_zero_label else ''))


def _masks(form: str, masks: str, things: str, crowds: bool) -> Dict[str, str]:
    """Stem → URI of each mask."""
    try:
        if form == 'json':
            files = [file for file in (masks, things) if file]
            index = json_index(files, crowds)
            found = {osp.splitext(osp.basename(name.decode()))[0]: mask_uri('json', files, image_id, crowds)
                     for image_id, name in zip(index.ids.tolist(), index.names)}
        else:
            suffix = '.mat' if form == 'mat' else '.png'
            found = {path.stem: mask_uri(form, [str(path)]) for path in sorted(Path(masks).iterdir())
                     if path.suffix == suffix and not path.name.endswith(SUFFIX)}
    except OSError as error:
        raise DistillError(f'cannot read {error.filename or masks}: {error.strerror}') from None
    if not found:
        raise DistillError(f'no mask of form {form!r} in {masks}: check the path and the form')
    return found


def _wanted(found: Dict[str, str], names: str, images: str) -> Dict[str, str]:
    """The masks whose stems are in the file ``names`` and in the folder ``images``, if given."""
    for place in filter(None, (names, images)):
        try:
            stems = {path.stem for path in Path(images).iterdir()} if place is images else set(
                Path(names).read_text().split())
        except OSError as error:
            raise DistillError(f'cannot read {place}: {error.strerror}') from None
        found = {stem: found[stem] for stem in sorted(found.keys() & stems)}
        if not found:
            raise DistillError(f'no mask matches {place}: give the names, or the images, of the same '
                               'split')
    return found


def _is_there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _write(item: Tuple[str, str], out: str, layout: SegLayout) -> None:
    stem, uri = item
    buffer = io.BytesIO()
    Image.fromarray(layout.encode(read(uri))).save(buffer, 'PNG')
    write_atomic(Path(out, stem + SUFFIX), buffer.getvalue())
