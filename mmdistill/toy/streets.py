"""The built-in street scenes as a dataset for stock mmseg pipelines."""
from typing import Annotated, List, Literal

from mmseg.datasets import BaseSegDataset

from mmdistill.registry import DATASETS
from mmdistill.settings import PositiveInt, Range, validated
from . import storage  # noqa: F401  registers streets://
from .street_scenes import CLASSES, PALETTE


@DATASETS.register_module()
class StreetScenes(BaseSegDataset):
    """Procedural 11-class street scenes with exact masks and a long tail; no download.

    Args:
        num_scenes: Number of scenes; scene ``i`` does not depend on it.
        split: ``'train'``, ``'val'`` or ``'test'``; the splits are disjoint.
        size: Side of the square images in pixels.
        **kwargs: As for mmseg's ``BaseSegDataset`` (``pipeline``, ...).

    Raises:
        DistillError: The split is unknown, there is no scene, or the side is less than 32.

    Example:
        >>> dataset = StreetScenes(num_scenes=20)
        >>> len(dataset), dataset.metainfo['classes'][0]
        (20, 'sky')
    """
    METAINFO = dict(classes=CLASSES, palette=[list(c) for c in PALETTE])

    @validated
    def __init__(self, num_scenes: PositiveInt = 2000, split: Literal['train', 'val', 'test'] = 'train',
                 size: Annotated[int, Range(32)] = 64, **kwargs) -> None:
        self.num_scenes, self.split, self.size = num_scenes, split, size
        super().__init__(img_suffix='.png', **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry per scene, in mmseg's format."""
        root = f'streets://{self.split}/{self.size}'
        return [
            dict(
                img_path=f'{root}/images/{i:06d}.png',
                seg_map_path=f'{root}/masks/{i:06d}.png',
                label_map=self.label_map,
                reduce_zero_label=self.reduce_zero_label,
                seg_fields=[]) for i in range(self.num_scenes)
        ]
