"""Names of classes as layout-to-image weights know them."""
from typing import Dict, List, Literal, Mapping, Sequence, Union

from ..errors import DistillError
from ..settings import nearest

#: A table of FreestyleNet's released weights, names by class, or None for the dataset's own.
Names = Union[None, Literal['ade20k', 'coco_stuff'], Dict[str, str]]

# The names that FreestyleNet learned where they are not those of mmseg's ADE20K.
_ADE20K = {
    'windowpane': 'window', 'earth': 'ground', 'rug': 'carpet', 'rock': 'stone', 'base': 'pedestal', 'column': 'pillar',
    'chest of drawers': 'dresser', 'case': 'showcase', 'blind': 'blinds', 'kitchen island': 'kitchen',
    'television receiver': 'television', 'dirt track': 'dirt road', 'ottoman': 'pouf', 'buffet': 'sideboard',
    'conveyer belt': 'conveyor', 'minibike': 'motorbike', 'step': 'stair', 'trade name': 'brand',
    'crt screen': 'screen'}


def prompt_names(classes: Sequence[str], names: Names = None, where: str = 'names') -> List[str]:
    """The words for each class in a prompt, without needless blanks.

    Args:
        classes: The dataset's names, in the order of the ids.
        names: ``'ade20k'``, ``'coco_stuff'``: as FreestyleNet's weights for them were trained, where ``classes`` are
            mmseg's; or a name for some of the classes; None: the classes' own.
        where: Key of ``names`` in the config, for the message.

    Raises:
        DistillError: A name is given for a class that is not there.
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
