"""The real dataset of a run."""
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from mmdistill.plan import Request


class Source:
    """The real dataset of a run, as selection and synthesis read it.

    Attributes:
        dataset: The OpenMMLab dataset.
        classes: Names of the classes, in the order of the ids.
        palette: One RGB triple per class, 0..255; empty where nothing is drawn in colours.
        images: Path or URI of each image.
    """
    dataset: Any
    classes: Tuple[str, ...]
    palette: Tuple[Tuple[int, int, int], ...] = ()
    images: List[str]

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """Changes when a file or the way in which it is read does."""
        raise NotImplementedError

    def inputs(self, requests: Sequence[Request], size: Tuple[int, int]) -> Dict[str, Any]:
        """What the generator reads besides the requests, by the names of its arguments.

        Args:
            requests: A batch.
            size: (H, W) of the images that are made.
        """
        return {}

    def annotation(self, inputs: Mapping[str, Any], row: int) -> Dict[str, Any]:
        """What the writer gets beside an image, by the names of its arguments.

        Args:
            inputs: As :meth:`inputs` gave them.
            row: Of the batch.
        """
        return {}

    def preview(self, image: np.ndarray, inputs: Mapping[str, Any], row: int) -> np.ndarray:
        """An image as it is shown while the run goes on, uint8 RGB (H, W', 3)."""
        return image
