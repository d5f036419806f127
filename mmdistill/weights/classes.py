"""Classes on which the weights of a generator were trained, from the files in its folder."""
from pathlib import Path
from typing import Any, Optional

from ..errors import DistillError
from ..known_classes import KnownClasses
from .configs import read_config

INDEX = 'model_index.json'  # of a diffusers pipeline; for a DiT, it contains the class names


def classes_in(folder: Path) -> Optional[KnownClasses]:
    """The classes of the ``transformer`` or ``unet`` in a diffusers folder; None for a network without class ids.

    The names are taken from the network's config, where this package saves them, or from the pipeline's ``id2label``.
    """
    config: Any = read_config(folder / ('transformer' if (folder / 'transformer').is_dir() else 'unet'))
    count = config.get('num_classes', config.get('num_embeds_ada_norm'))
    if not isinstance(count, int):
        return None
    return KnownClasses.of(count, config.get('classes') or _labels(folder))


def _labels(folder: Path) -> Any:
    try:
        return read_config(folder, INDEX).get('id2label')
    except DistillError:
        return None
