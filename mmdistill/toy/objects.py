"""The built-in object pictures as a dataset that every stock mmpretrain pipeline reads."""
from typing import List

from mmpretrain.datasets import BaseDataset

from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS
from . import storage  # noqa: F401  registers objects://
from .object_pictures import CLASSES
from .street_scenes import SPLITS


@DATASETS.register_module()
class ObjectPictures(BaseDataset):
    """Procedural pictures of 10 classes of things, five modes in each; no download.

    Args:
        num_images: How many; classes take turns, and picture ``i`` is the same for any number.
        split: ``'train'``, ``'val'`` or ``'test'``; splits share no picture.
        size: Side of the square images in pixels.
        **kwargs: As for mmpretrain's ``BaseDataset`` (``pipeline``, ``metainfo``, ...).

    Raises:
        DistillError: An unknown split, fewer images than classes, or a side under 32.
    """
    METAINFO = dict(classes=CLASSES)

    def __init__(self, num_images: int = 2000, split: str = 'train', size: int = 64, **kwargs) -> None:
        if split not in SPLITS:
            raise DistillError(f'ObjectPictures has no split {split!r}: use one of {", ".join(SPLITS)}')
        if num_images < len(CLASSES) or size < 32:
            raise DistillError(f'ObjectPictures needs num_images >= {len(CLASSES)} and size >= 32, not {num_images} '
                               f'and {size}')
        self.num_images, self.split, self.size = num_images, split, size
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> List[dict]:
        """One entry a picture, in the host's format."""
        root, number = f'objects://{self.split}/{self.size}', len(CLASSES)
        return [dict(img_path=f'{root}/{CLASSES[i % number]}/{i:06d}.png', gt_label=i % number)
                for i in range(self.num_images)]
