"""The built-in object pictures as a dataset for stock mmpretrain pipelines."""
from typing import Annotated, List, Literal

from mmpretrain.datasets import BaseDataset

from mmdistill.registry import DATASETS
from mmdistill.settings import Range, validated
from . import storage  # noqa: F401  registers objects://
from .object_pictures import CLASSES


@DATASETS.register_module()
class ObjectPictures(BaseDataset):
    """Procedural pictures of 10 classes of objects with five modes each; no download.

    Args:
        num_images: Number of images, at least 10. Image ``i`` has the class ``i % 10`` and does not depend on the
            number.
        split: ``'train'``, ``'val'`` or ``'test'``; the splits are disjoint.
        size: Side of the square images in pixels.
        **kwargs: As for mmpretrain's ``BaseDataset`` (``pipeline``, ``metainfo``, ...).

    Raises:
        DistillError: The split is unknown, there are fewer images than classes, or the side is less than 32.

    Example:
        >>> dataset = ObjectPictures(num_images=20)
        >>> len(dataset), dataset.metainfo['classes'][0]
        (20, 'boat')
    """
    METAINFO = dict(classes=CLASSES)

    @validated
    def __init__(self, num_images: Annotated[int, Range(len(CLASSES))] = 2000,
                 split: Literal['train', 'val', 'test'] = 'train', size: Annotated[int, Range(32)] = 64,
                 **kwargs) -> None:
        self.num_images, self.split, self.size = num_images, split, size
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry per picture, in mmpretrain's format."""
        root, number = f'objects://{self.split}/{self.size}', len(CLASSES)
        return [dict(img_path=f'{root}/{CLASSES[i % number]}/{i:06d}.png', gt_label=i % number)
                for i in range(self.num_images)]
