"""Checks of objectives."""
from typing import Any, Mapping

from ..errors import DistillError


def check_objectives(objectives: Mapping[str, Any], update: str, where: str) -> None:
    """Raise a DistillError if objectives, by name, are invalid, or do not fit each other or the ``update``."""
    for name, objective in objectives.items():
        space = getattr(objective, 'space', None)
        if space not in ('image', 'latent', 'noisy') or not hasattr(objective, 'weight'):
            raise DistillError(f"{where}: {name} needs a space, 'image', 'latent' or 'noisy', and a weight: set both")
        if space == 'noisy' and update != 'prev':
            raise DistillError(f"{where}: {name} is a loss of the noisy latents, which update={update!r} does not "
                               "support: set update='prev'")
    joint, greedy = ([name for name, o in objectives.items() if getattr(o, attribute, False)]
                     for attribute in ('joint', 'greedy'))
    if joint and greedy:
        raise DistillError(f'{where}: {joint[0]} needs the images of a class generated together, {greedy[0]} one after '
                           'the other: leave one of them out')
