"""Detects the random palettes that mmseg generates."""
from typing import Any, Dict, Mapping

import numpy as np


def without_random_palette(metainfo: Mapping[str, Any]) -> Dict[str, Any]:
    """The metainfo of a dataset, without a palette that mmseg generated.

    mmseg generates random colours with a fixed seed for a dataset without a palette. They are good enough for
    visualisation, but a network that reads colours was not trained with them.

    Example:
        >>> without_random_palette(dict(classes=('sky', ), palette=[[6, 230, 230]]))
        {'classes': ('sky',), 'palette': [[6, 230, 230]]}
        >>> without_random_palette(dict(classes=('sky', ), palette=[[102, 179, 92]]))
        {'classes': ('sky',)}
    """
    random = np.random.RandomState(42).randint(0, 255, size=(len(metainfo.get('classes') or ()), 3)).tolist()
    made_up = [list(colour) for colour in metainfo.get('palette') or ()] == random
    return {key: value for key, value in metainfo.items() if not (key == 'palette' and made_up)}
