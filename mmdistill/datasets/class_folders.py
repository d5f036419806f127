"""Checks the class folders of a dataset against its class names, and names the class folders of a distilled set."""
import os.path as osp
import re
import unicodedata
from collections import Counter
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from mmdistill.errors import DistillError
from mmdistill.selection.report import shorten

_LONGEST = 200  # bytes of a name; file systems allow 255, and a prefix may be added
_SHOWN = 6  # names per list in a message
Pairs = Set[Tuple[str, int]]  # (folder, class id of an image in it)


def check_class_order(pairs: Pairs, numbered: Optional[Mapping[int, str]], classes: Sequence[str], where: str) -> None:
    """Check that a folder named like a class contains images of that class.

    mmpretrain takes the ids from the sorted folders or from a list, and the names from ``classes``. If the two orders
    differ, classes get each other's names. Letter case, spaces and punctuation are ignored. Folders that are not named
    like classes, such as WordNet ids, are not checked.

    Args:
        pairs: (folder, class id) for the class ids of the images in each folder.
        numbered: Class id → folder, if mmpretrain numbered the folders; None if a list gives the ids.
        classes: Names of the classes, in the order of the ids.
        where: Name of the dataset or its list in the message.

    Raises:
        DistillError: A folder has the name of one class and the id of another.
    """
    known: Dict[str, List[int]] = {}
    for label, name in enumerate(classes):
        known.setdefault(_plain(name), []).append(label)
    known.pop('', None)
    for folders in [numbered] if numbered else _levels(pairs):
        for label, folder in sorted(folders.items()):
            places = known.get(_plain(folder), [label])
            if label in places:
                continue
            source = "the folders' sorted order" if numbered else 'the list'
            advice = 'list the classes in the order of the folders' if numbered else (
                'correct the ids in the list, or the order of the classes')
            raise DistillError(
                f'{where}: folder {folder!r} has class id {label} by {source}, but class {label} is called '
                f'{classes[label]!r}, and {classes[places[0]]!r} is class {places[0]} (folders: '
                f'{_shown([folders.get(i, "-") for i in range(len(classes))])}; classes: {_shown(classes)}): {advice}')


def folder_names(pairs: Pairs, numbered: Optional[Mapping[int, str]], classes: Sequence[str]) -> Tuple[str, ...]:
    """A folder name for each class. The names differ even on file systems that ignore letter case.

    If mmpretrain numbered the folders, a class keeps the name of its folder. If a list gives the ids, a class gets the
    name of the folder that contains exactly its images or, if there is none, a name derived from the class name. Equal
    names get the class id as a prefix. The arguments are those of :func:`check_class_order`.
    """
    found = numbered or _listed(pairs)
    names = [found.get(label, '') for label in range(len(classes))]
    if not all(map(_is_plain, names)) or not numbered and len({*names}) < len(names):
        made = [_cut(re.sub(r'[^\w-]+', '_', name).strip('_')) for name in classes]
        # Numbered folders keep their names unless a list of files cannot express them.
        names = [name if numbered and _is_plain(name) else new for name, new in zip(names, made)]
    return _distinct(names)


def _distinct(names: Sequence[str]) -> Tuple[str, ...]:
    """Prefix a name with its index if it is empty, or equal to another name on some file systems."""
    numbered = [_cut(f'{label:04d}_{name}'.rstrip('_')) for label, name in enumerate(names)]
    keys = Counter(map(name_key, names))
    mixed = [name if name and keys[name_key(name)] == 1 else other for name, other in zip(names, numbered)]
    return tuple(mixed if len({*map(name_key, mixed)}) == len(mixed) else numbered)


def _levels(pairs: Pairs) -> Iterator[Dict[int, str]]:
    """Yield the folders by class id, for each depth of the tree at which every class has a separate folder."""
    parts = [(folder.split('/'), label) for folder, label in pairs]
    for depth in range(min((len(folders) for folders, _ in parts), default=0)):
        found: Dict[int, Set[str]] = {}
        for folders, label in parts:
            found.setdefault(label, set()).add(folders[depth])
        names = [next(iter(folders)) for folders in found.values() if len(folders) == 1]
        if len({*names}) == len(found):
            yield {label: next(iter(folders)) for label, folders in found.items()}


def _listed(pairs: Pairs) -> Dict[int, str]:
    """The last folder of each class's images, if it is the same for all of them.

    Empty if the parent folders already separate the classes.
    """
    last: Dict[int, Set[str]] = {}
    above: Dict[int, Set[str]] = {}
    for folder, label in pairs:
        last.setdefault(label, set()).add(osp.basename(folder))
        above.setdefault(label, set()).add(osp.dirname(folder))
    shared = Counter(folder for folders in above.values() for folder in folders)
    if len(above) > 1 and max(shared.values()) == 1:
        return {}  # cat/morning, dog/evening: the last folders are not classes
    return {label: min(folders) for label, folders in last.items() if len(folders) == 1}


def _plain(name: str) -> str:
    """A name in lower case, without spaces and punctuation."""
    return re.sub(r'[\W_]+', '', unicodedata.normalize('NFKC', name).casefold())


def name_key(name: str) -> str:
    """A key that is equal for names that some file systems consider equal (letter case, Unicode normal form)."""
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold())


def _is_plain(name: str) -> bool:
    """Whether a folder with this name can be written, listed on a line and read back."""
    return (bool(name) and not name.startswith('.') and name == name.lstrip() and {'/', '\\'}.isdisjoint(name)
            and not any(unicodedata.category(letter) in ('Cc', 'Cs') for letter in name)
            and len(name.encode()) <= _LONGEST)


def _cut(name: str) -> str:
    return name.encode(errors='ignore')[:_LONGEST].decode(errors='ignore')


def _shown(names: Sequence[str]) -> str:
    return ', '.join(map(shorten, names[:_SHOWN])) + (', …' if len(names) > _SHOWN else '')
