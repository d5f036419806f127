"""Some classes of an ImageNet folder."""
from typing import Any, List, Sequence, Tuple

from mmpretrain.datasets import ImageNet
from mmpretrain.datasets.custom import get_samples

from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS


@DATASETS.register_module()
class ImageNetSubset(ImageNet):
    """The images of some folders of ImageNet's tree; class id = position in ``classes``.

    mmpretrain's ``ImageNet`` demands that the folders be the classes; this takes its classes out of any tree of
    ``{train,val}/<wnid>/*.JPEG``, the whole ImageNet or one that holds no others.

    Args:
        data_root: Folder of ``train`` and ``val``.
        split: ``'train'`` or ``'val'``.
        classes: WordNet ids, the names of the folders.
        **kwargs: As for mmpretrain's ``BaseDataset`` (``pipeline``, ``metainfo``, ...).
    """

    def __init__(self, data_root: str, split: str, classes: Sequence[str], **kwargs: Any) -> None:
        if len(set(classes)) < len(classes):
            raise DistillError(f'ImageNetSubset: some of the {len(classes)} classes are there twice')
        super().__init__(data_root, data_prefix=split, classes=list(classes), **kwargs)

    def _find_samples(self) -> List[Tuple[str, int]]:
        labels = {name: label for label, name in enumerate(self.CLASSES)}
        try:
            return get_samples(self.img_prefix, labels, self.is_valid_file)[0]
        except FileNotFoundError as error:
            raise DistillError(f'no class folder at {error.filename}: check data_root, split and classes; the tree '
                               'is <split>/<wnid>/*.JPEG') from None
