"""Palettes of datasets that have none."""
from typing import Any, Dict, Mapping

import numpy as np


def without_random_palette(metainfo: Mapping[str, Any]) -> Dict[str, Any]:
    """The metainfo of a dataset, without the palette that mmseg makes up if a dataset has none.

    Its colours are random ones of a fixed seed, good for pictures; a network that reads colours does not know them.

    Example:
        >>> without_random_palette(dict(classes=('sky', ), palette=[[6, 230, 230]]))
        {'classes': ('sky',), 'palette': [[6, 230, 230]]}
        >>> without_random_palette(dict(classes=('sky', ), palette=[[102, 179, 92]]))
        {'classes': ('sky',)}
    """
    random = np.random.RandomState(42).randint(0, 255, size=(len(metainfo.get('classes') or ()), 3)).tolist()
    made_up = [list(colour) for colour in metainfo.get('palette') or ()] == random
    return {key: value for key, value in metainfo.items() if not (key == 'palette' and made_up)}
