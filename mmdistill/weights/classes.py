"""The classes that weights of generators were trained on, as far as their folder says."""
import json
from pathlib import Path
from typing import Any, Optional

from ..known_classes import KnownClasses
from .hub import network_config

INDEX = 'model_index.json'  # of a pipeline of diffusers; a DiT's has its labels


def classes_in(folder: Path) -> Optional[KnownClasses]:
    """The classes of the ``transformer`` or ``unet`` of a diffusers folder; None of a network that takes no class ids.

    Names are those of the network's own config, which the trainings of this package record, or else the labels of the
    pipeline (``id2label``).
    """
    config: Any = network_config(folder / ('transformer' if (folder / 'transformer').is_dir() else 'unet'))
    count = config.get('num_classes', config.get('num_embeds_ada_norm'))
    if not isinstance(count, int):
        return None
    return KnownClasses.of(count, config.get('classes') or _labels(folder))


def _labels(folder: Path) -> Any:
    try:
        return json.loads((folder / INDEX).read_text())['id2label']
    except (OSError, ValueError, KeyError, TypeError):
        return None
