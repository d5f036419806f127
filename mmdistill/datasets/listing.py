"""Errors in annotation files (``ann_file``): the wrong line, and missing files."""
import bisect
import copy
import os
import os.path as osp
import re
import tempfile
import traceback
from collections import Counter
from typing import Any, Dict, List, Optional, Sequence, Set

from mmdistill.errors import DistillError, one_line
from .reading import local_files


def bad_list(error: BaseException) -> Optional[DistillError]:
    """The error that names the annotation file and the wrong line, if a dataset raised ``error`` while reading one.

    The line is found with the dataset's reader: it is the last line of the shortest list that raises the error.

    Returns:
        The error, or None if no dataset was reading an annotation file.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name == 'load_data_list']
    if not frames:  # older versions of MMEngine raise a new error with the dataset's name
        return bad_list(error.__context__) if error.__context__ else None
    dataset = frames[0].f_locals.get('self')
    path = getattr(dataset, 'ann_file', None)
    if not isinstance(path, str) or not path or '://' in path:
        return None
    reason = one_line(error)
    if not osp.isfile(path):
        return DistillError(f'no ann_file at {path}: set data_root and ann_file')
    if 'Unsupported format' in reason:
        return DistillError(f'ann_file {path}: {type(dataset).__name__} reads .json, .yml and .pkl: use a dataset that '
                            'reads text files, such as mmpretrain.CustomDataset, or give another file')
    if isinstance(error, UnicodeError):
        return DistillError(f'ann_file {path} is not UTF-8 text ({reason}): save it as UTF-8')
    lines = _lines(path)
    number = _first_bad(dataset, lines, error)
    if number is None:
        return DistillError(f'ann_file {path} cannot be read ({reason}): correct it')
    return DistillError(f'ann_file {path}, line {number + 1}: {_short(lines[number])} cannot be read ({reason}): '
                        f'{_advice(lines[number])}')


def no_images(dataset: Any) -> str:
    """Text about an OpenMMLab dataset that finds no image, with what its folder contains."""
    text = '' if getattr(dataset, 'ann_file', None) else without_suffix(dataset, 'img_path', 'img_suffix')
    folder = (getattr(dataset, 'data_prefix', None) or {}).get('img_path')
    chosen = 'img_suffix' if hasattr(dataset, 'img_suffix') else 'ann_file'
    return text or f'it finds no image{f" in {folder}" if folder else ""}: check data_root, data_prefix and {chosen}'


def without_suffix(dataset: Any, prefix: str, key: str) -> str:
    """Text about a folder of a dataset in which all files have other suffixes than the dataset's; '' otherwise.

    Args:
        dataset: An OpenMMLab dataset.
        prefix: Key of the folder in its ``data_prefix``.
        key: Name of the suffix among its settings.
    """
    folder, suffix = (getattr(dataset, 'data_prefix', None) or {}).get(prefix), getattr(dataset, key, None)
    if not folder or not suffix or not osp.isdir(folder):
        return ''
    found: Counter = Counter()
    for _, _, names in os.walk(folder):
        if any(name.endswith(suffix) for name in names):
            return ''
        found.update(osp.splitext(name)[1] for name in names)
    what = ', '.join(f'{count} files *{ending}' for ending, count in found.most_common(3))
    text = f'no file in {folder} ends in {suffix!r}; it has {what}: set {key}, data_root or data_prefix'
    return text if found else ''


def check_files(dataset: Any, paths: Sequence[str], what: str, backend_args: Optional[dict] = None) -> None:
    """Check that the local files listed in a dataset's annotation file exist, by listing their folders.

    Args:
        dataset: An OpenMMLab dataset. Without an ``ann_file``, nothing is checked, since it listed its folders itself.
        paths: The paths that the dataset derived from the list.
        what: Name of such a file in the message, such as ``'image'``.
        backend_args: ``backend_args`` of the transform that reads the files.

    Raises:
        DistillError: A file is missing; the message has its path and its line in the list.
    """
    if not getattr(dataset, 'ann_file', ''):
        return
    if gone := absent(paths, backend_args):
        more = f' ({len(gone)} of {len(paths)} are missing)' if len(gone) > 1 else ''
        path = gone[0] if gone[0].isprintable() and gone[0] == gone[0].strip() else _short(gone[0])
        raise DistillError(f'cannot read {path}{line_of(dataset, gone[0])}: no such {what}{more}: '
                           f'{_missing_advice(dataset, gone[0])}')


def absent(paths: Sequence[str], backend_args: Optional[dict] = None) -> List[str]:
    """The local paths that do not exist. Each folder is listed once."""
    known: Dict[str, Set[str]] = {}
    local = [path for path in paths if local_files(path, backend_args) == [path]]
    return [path for path in local if osp.basename(path) not in _names(osp.dirname(path), known)]


def line_of(dataset: Any, path: str, label: Optional[int] = None) -> str:
    """``', line 3 of <ann_file>'``: the first line of a dataset's list that contains a file.

    Args:
        dataset: An OpenMMLab dataset.
        path: Path of the file.
        label: Class id that the line must have; None for any.

    Returns:
        The text, or ``''`` if there is no such line.
    """
    ann_file = getattr(dataset, 'ann_file', '')
    prefix = osp.join(dataset.data_prefix.get('img_path') or '', '')
    stem = path.removeprefix(prefix).removesuffix(getattr(dataset, 'img_suffix', '') or '').strip()
    ending = '(?!\\S)' if label is None else rf'\s+{label}\s*$'
    pattern = re.compile(rf'(?<!\S){re.escape(stem)}{ending}' if stem else r'^\s*$')
    lines = [] if ann_file.endswith(('.json', '.pkl')) else _lines(ann_file)
    number = next((i for i, line in enumerate(lines) if pattern.search(line)), None)
    return '' if number is None else f', line {number + 1} of {ann_file}'


def _first_bad(dataset: Any, lines: Sequence[str], error: BaseException) -> Optional[int]:
    """Index of the line at which a dataset raises this ``error``; None if no single line causes it."""
    trial = copy.copy(dataset)

    def fails(count: int) -> bool:
        """Whether a list of the first ``count`` lines raises the error."""
        with tempfile.NamedTemporaryFile('w', suffix='.txt', encoding='utf-8', newline='') as file:
            file.writelines(f'{line}\n' for line in lines[:count])
            file.flush()
            trial.ann_file = file.name
            try:
                trial.load_data_list()
            except Exception as found:  # a dataset's reader may raise anything
                return (type(found), str(found)) == (type(error), str(error))
        return False

    count = bisect.bisect_left(range(len(lines) + 1), True, key=fails)
    return count - 1 if 0 < count <= len(lines) else None


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding='utf-8', newline='\n') as file:
            return [line.rstrip('\r\n') for line in file]
    except (OSError, UnicodeError):  # for example, a remote file
        return []


def _names(folder: str, known: Dict[str, Set[str]]) -> Set[str]:
    """The names in a folder, cached in ``known``; empty if the folder does not exist."""
    if folder not in known:
        try:
            known[folder] = {*os.listdir(folder or '.')}
        except OSError:
            known[folder] = set()
    return known[folder]


def _advice(line: str) -> str:
    if not line.strip():
        return 'remove the empty line'
    if ' ' in line.strip():
        return 'its last word has to be a single class id, a whole number from 0, not a name'
    return 'write "<file> <class id>"' + ' with a space between them' * bool(re.search(r'[,;\t]', line))


def _missing_advice(dataset: Any, path: str) -> str:
    suffix = getattr(dataset, 'img_suffix', '')
    if '\ufeff' in path:
        return 'the list begins with a byte order mark: save it as UTF-8 without one'
    if suffix and path.endswith(suffix * 2):
        return f'the list names files without {suffix}, which is added as img_suffix: remove it from the lines'
    if path != path.rstrip():
        return 'there is more than one space before the class id: leave one'
    if not osp.basename(path).removesuffix(suffix or ' '):
        return 'remove the empty line'
    return 'add the file, remove its line, or check data_root, data_prefix and the suffixes'


def _short(text: str, length: int = 160) -> str:
    return repr(text if len(text) <= length else f'{text[:length]}…')
