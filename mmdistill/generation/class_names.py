"""Class names with which layout-to-image weights were trained."""
from typing import Dict, List, Literal, Mapping, Sequence, Union

from ..errors import DistillError
from ..settings import nearest

#: Name of a table for FreestyleNet's released weights, names by class, or None for the dataset's names.
Names = Union[None, Literal['ade20k', 'coco_stuff'], Dict[str, str]]

# Names in FreestyleNet's training that differ from those of mmseg's ADE20K.
_ADE20K = {
    'windowpane': 'window', 'earth': 'ground', 'rug': 'carpet', 'rock': 'stone', 'base': 'pedestal', 'column': 'pillar',
    'chest of drawers': 'dresser', 'case': 'showcase', 'blind': 'blinds', 'kitchen island': 'kitchen',
    'television receiver': 'television', 'dirt track': 'dirt road', 'ottoman': 'pouf', 'buffet': 'sideboard',
    'conveyer belt': 'conveyor', 'minibike': 'motorbike', 'step': 'stair', 'trade name': 'brand',
    'crt screen': 'screen'}


def prompt_names(classes: Sequence[str], names: Names = None, where: str = 'names') -> List[str]:
    """The name of each class in a prompt, with single spaces.

    Args:
        classes: Class names of the dataset, in the order of the ids.
        names: ``'ade20k'`` or ``'coco_stuff'``: the names in the training of FreestyleNet's released weights, if
            ``classes`` are mmseg's; or a dict of names for some of the classes; None: ``classes``.
        where: Key of ``names`` in the config, for messages.

    Raises:
        DistillError: ``names`` contains an unknown class.
    """
    if names == 'coco_stuff':
        known: Mapping[str, str] = {name: _coco_stuff(name) for name in classes}
    else:
        known = _ADE20K if names == 'ade20k' else names or {}
    if absent := [name for name in known if name not in classes]:
        shown = f'={names!r}' if isinstance(names, str) else ''
        raise DistillError(f'{where}{shown}: the dataset has no class {absent[0]!r}{nearest(absent[0], classes)}')
    return [' '.join(known.get(name, name).split()) for name in classes]


def _coco_stuff(name: str) -> str:
    """``ceiling-other`` → ``ceiling``, ``ceiling-tile`` → ``tile ceiling``."""
    plain = name.removesuffix('-other').removesuffix('-stuff')
    first, _, material = plain.partition('-')
    return f'{material} {first}' if material else plain
