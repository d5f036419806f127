"""Checks that the real training set has the images that its baselines select."""
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from mmdistill.errors import DistillError, counted
from mmdistill.selection.base import Budget
from .training_sets import RealData, TrainingSet, selects_per_class


def check_sizes(sets: Mapping[str, TrainingSet], real: RealData, budget: Optional[Budget], ipc: Optional[int],
                classes: int) -> None:
    """Check the sizes of all baselines before anything is selected.

    Args:
        sets: The training sets, by name.
        real: The real training set.
        budget, ipc, classes: Of the comparison: the size of baselines without their own budget, the number of classes.

    Raises:
        DistillError: A baseline needs more images than there are, or no image of a class.
    """
    found: Dict[str, List[str]] = {}
    for name, one in sets.items():
        selector = one.values[0]
        if one.kind != 'selector':
            continue
        if 'budget' in selector:
            key, size = f'training_sets.{name}.selector.budget', selector['budget']
        else:
            key, size = ('budget', budget) if ipc is None else ('ipc', ipc)
        if isinstance(size, int):
            problem = (_class_problem if selects_per_class(selector) and real.labels is not None else _total_problem)(
                key, size, real, classes)
            if problem:
                found.setdefault(f'{key}={size} {problem}', []).append('' if 'budget' in selector else name)
    for problem, names in found.items():
        shared = ', '.join(filter(None, names))
        raise DistillError(problem + (f' (for the training sets {shared})' if shared else ''))


def _total_problem(key: str, size: int, real: RealData, classes: int) -> str:
    """What is wrong with the size of a baseline; '' if nothing is."""
    images, each = len(real.dataset), classes if key == 'ipc' else 1
    needed = f'{counted(classes, "class")} need {counted(size * each, "image")}, ' if key == 'ipc' else ''
    return f'is out of range: {needed}train_dataset has {counted(images, "image")}, use 1..{images // each}' if (
        size * each > images) else ''


def _class_problem(key: str, size: int, real: RealData, classes: int) -> str:
    """Like :func:`_total_problem`, for selectors whose budget is per class."""
    each = classes if key == 'budget' else 1  # the budget of the comparison is divided among the classes
    labels, counts = np.unique(np.asarray(real.labels), return_counts=True)
    least, names = int(counts.min()), real.dataset.metainfo.get('classes')
    if size < each:
        return (f'is fewer than the {classes} classes, and the same number of images is selected from each: use at '
                f'least {classes}, or give ipc, the number of images per class')
    name: Any = names[labels[counts.argmin()]] if names else labels[counts.argmin()]
    problem = f'is out of range: train_dataset has {counted(least, "image")} of class {name!r}, use '
    return f'{problem}{each}..{least * each}' if size // each > least else ''
