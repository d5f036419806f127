"""The folders of a classification dataset: whether they fit the class names, and those of its distilled set."""
import os.path as osp
import re
import unicodedata
from collections import Counter
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from mmdistill.errors import DistillError
from mmdistill.selection.report import shorten

_LONGEST = 200  # bytes of a name; file systems allow 255, and names are put together
_SHOWN = 6  # names of each order in a message
Pairs = Set[Tuple[str, int]]  # folders of images, and the class ids of the images in them


def check_class_order(pairs: Pairs, numbered: Optional[Mapping[int, str]], classes: Sequence[str], where: str) -> None:
    """Check that folders that are called as classes hold the images of these classes.

    mmpretrain takes the ids from the sorted folders, or from a list, and the names from ``classes``, so that two orders
    give every class the name of another one. Letter case, blanks and punctuation are ignored; folders that are not
    called as classes, such as WordNet ids, say nothing.

    Args:
        pairs: Folders of the images, each with the class ids of the images in it.
        numbered: Class id to folder, where mmpretrain numbered folders; None where a list gives the ids.
        classes: Names of the classes, in the order of the ids.
        where: What the message calls the dataset or its list.

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
    """A folder's name for each class, all different on file systems that ignore letter case, too.

    It is the folder that mmpretrain took the class from. With a list of ids it is the folder that holds all images of
    a class and of no other; where there is none, a name that is made of the class's. A number goes before names that
    are equal. The arguments are those of :func:`check_class_order`.
    """
    found = numbered or _listed(pairs)
    names = [found.get(label, '') for label in range(len(classes))]
    if not all(map(_is_plain, names)) or not numbered and len({*names}) < len(names):
        made = [_cut(re.sub(r'[^\w-]+', '_', name).strip('_')) for name in classes]
        # Folders with classes' ids keep their names, unless a list cannot name them.
        names = [name if numbered and _is_plain(name) else new for name, new in zip(names, made)]
    return _distinct(names)


def _distinct(names: Sequence[str]) -> Tuple[str, ...]:
    """The names, with their number before those that some file systems take for one, and before empty ones."""
    numbered = [_cut(f'{label:04d}_{name}'.rstrip('_')) for label, name in enumerate(names)]
    keys = Counter(map(name_key, names))
    mixed = [name if name and keys[name_key(name)] == 1 else other for name, other in zip(names, numbered)]
    return tuple(mixed if len({*map(name_key, mixed)}) == len(mixed) else numbered)


def _levels(pairs: Pairs) -> Iterator[Dict[int, str]]:
    """The folders by class id, for each depth of the tree at which every class has one of its own."""
    parts = [(folder.split('/'), label) for folder, label in pairs]
    for depth in range(min((len(folders) for folders, _ in parts), default=0)):
        found: Dict[int, Set[str]] = {}
        for folders, label in parts:
            found.setdefault(label, set()).add(folders[depth])
        names = [next(iter(folders)) for folders in found.values() if len(folders) == 1]
        if len({*names}) == len(found):
            yield {label: next(iter(folders)) for label, folders in found.items()}


def _listed(pairs: Pairs) -> Dict[int, str]:
    """The last folder of each class's images where it is the same for all, and those above do not tell the classes
    apart."""
    last: Dict[int, Set[str]] = {}
    above: Dict[int, Set[str]] = {}
    for folder, label in pairs:
        last.setdefault(label, set()).add(osp.basename(folder))
        above.setdefault(label, set()).add(osp.dirname(folder))
    shared = Counter(folder for folders in above.values() for folder in folders)
    if len(above) > 1 and max(shared.values()) == 1:
        return {}  # cat/morning, dog/evening: the last folders are no classes
    return {label: min(folders) for label, folders in last.items() if len(folders) == 1}


def _plain(name: str) -> str:
    """A name without letter case, blanks and punctuation."""
    return re.sub(r'[\W_]+', '', unicodedata.normalize('NFKC', name).casefold())


def name_key(name: str) -> str:
    """A key that is equal for names which some file systems take for one: by letter case or the form of accents."""
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold())


def _is_plain(name: str) -> bool:
    """Whether a name is one of a folder that can be written, listed on a line and read back."""
    return (bool(name) and not name.startswith('.') and name == name.lstrip() and {'/', '\\'}.isdisjoint(name)
            and not any(unicodedata.category(letter) in ('Cc', 'Cs') for letter in name)
            and len(name.encode()) <= _LONGEST)


def _cut(name: str) -> str:
    return name.encode(errors='ignore')[:_LONGEST].decode(errors='ignore')


def _shown(names: Sequence[str]) -> str:
    return ', '.join(map(shorten, names[:_SHOWN])) + (', …' if len(names) > _SHOWN else '')
