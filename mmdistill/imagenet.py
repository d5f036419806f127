"""ImageNet's classes: WordNet ids in the order of the class ids of networks, teachers and prompts."""
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from .errors import DistillError


@lru_cache(None)
def imagenet_wnids() -> Tuple[str, ...]:
    """The 1000 WordNet ids of ImageNet-1K, sorted; their source is in ``imagenet.json``."""
    return tuple(json.loads(Path(__file__).with_suffix('.json').read_text())['wnids'])


def imagenet_ids(classes: Sequence[str]) -> Optional[List[int]]:
    """ImageNet's class ids, 0..999, of classes named by WordNet ids; None if a name is not one of these ids."""
    ids = {wnid: number for number, wnid in enumerate(imagenet_wnids())}
    return [ids[name] for name in classes] if set(classes) <= ids.keys() else None


def check_folders(folders: Sequence[str], classes: Sequence[str], where: str) -> None:
    """Check that the class folders are those of ImageNet's 1000 classes.

    Args:
        folders: Names of the folders.
        classes: Names of the 1000 classes, in the order of the ids, for messages.
        where: Their parent folder, for messages.

    Raises:
        DistillError: Folders are missing, or there are others.
    """
    wnids = imagenet_wnids()
    missing = [f'{wnid} ({name.partition(",")[0]})' for wnid, name in zip(wnids, classes) if wnid not in {*folders}]
    extra = sorted({*folders} - {*wnids})
    if not missing and not extra:
        return
    problems = [f'no folder for {_some(missing)}'] if missing else []
    problems += [f'{_some(extra)} not in its classes'] if extra else []
    advice = 'rename or remove what is wrong, or check data_root' if folders else (
        'check data_root; the tree is {train,val}/<wnid>/*.JPEG')
    raise DistillError(f'{where} is not ImageNet-1K: {"; ".join(problems)}: {advice} (to read only some classes, use '
                       'type=mmdistill.ImageNetSubset with classes=[...])')


def check_order(folders: Sequence[str], labels: Sequence[int], where: str) -> None:
    """Check the class ids of ImageNet-1K's images by their folders.

    Args:
        folders: The folder of each image; folders that are not WordNet ids are not checked.
        labels: The class id of each image.
        where: Source of the ids, for messages.

    Raises:
        DistillError: An image has the id of another class, or its folder is not one of the 1000.
    """
    wnids = imagenet_wnids()
    known = {wnid: number for number, wnid in enumerate(wnids)}
    for folder, label in sorted(set(zip(folders, labels))):
        if not re.fullmatch(r'n\d{8}', folder) or known.get(folder) == label:
            continue
        if folder not in known:
            raise DistillError(f'{where}: {folder} is not one of ImageNet\'s 1000 classes: rename or remove it, or '
                               'name your classes')
        raise DistillError(f'{where}: images of {folder} have class id {label}, but in the order of ImageNet, '
                           f'which weights and prompts use, {label} is {wnids[label]} and {folder} is {known[folder]}: '
                           'check the names of the folders, or the list')


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:3]) + (f' and {len(names) - 3} others' if len(names) > 3 else '')
