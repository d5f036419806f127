"""ImageNet-1K and subsets of its classes, as in mmpretrain, with checks of the class folders' names."""
import os.path as osp
from typing import Any, Dict, List, Sequence, Tuple

from mmengine.fileio import exists, get_file_backend, join_path, list_from_file
from mmpretrain.datasets import ImageNet
from mmpretrain.datasets.custom import find_folders, get_samples

from mmdistill.errors import DistillError
from mmdistill.imagenet import check_folders, check_order, imagenet_wnids
from mmdistill.registry import DATASETS

# In Kaggle's archive, this file is next to the folder ILSVRC; the data root is ILSVRC/Data/CLS-LOC.
_SOLUTION = 'LOC_val_solution.csv'
_PLACES = ('', '../../..')


class _Tree(ImageNet):
    """Samples in ``<split>/<wnid>/*.JPEG``, or in a flat folder of validation images with a list of their classes."""

    def labels(self) -> Dict[str, int]:
        """WordNet id → class id."""
        raise NotImplementedError

    def check_tree(self, folders: Sequence[str]) -> None:
        """Raise a DistillError if class folders of the split are missing or unexpected."""

    def _find_samples(self) -> List[Tuple[str, int]]:
        labels, folders = self.labels(), find_folders(self.img_prefix)[0]
        backend = get_file_backend(self.img_prefix, enable_singleton=True)
        files = () if folders else backend.list_dir_or_file(self.img_prefix, list_dir=False)
        if names := sorted(name for name in files if self.is_valid_file(name)):
            return self._listed(names, labels)
        self.check_tree(folders)
        self.folder_to_idx = labels
        return get_samples(self.img_prefix, labels, self.is_valid_file)[0]

    def _listed(self, names: Sequence[str], labels: Dict[str, int]) -> List[Tuple[str, int]]:
        """Samples of a flat folder, with the class ids from Kaggle's list."""
        lists = [path for place in _PLACES if exists(path := join_path(self.data_root, place, _SOLUTION))]
        if not lists:
            raise DistillError(f'{self.img_prefix} contains images instead of class folders: put {_SOLUTION} into '
                               f'{self.data_root}, sort the images into <wnid>/, or give an ann_file')
        rows = [line.replace(',', ' ').split() for line in list_from_file(lists[0])]
        wnids = {row[0]: row[1] for row in rows if len(row) > 1}
        stems = {name: osp.splitext(name)[0] for name in names}
        if unknown := [name for name, stem in stems.items() if stem not in wnids]:
            raise DistillError(f'{lists[0]} has no line for {unknown[0]}: give the list of these images')
        return [(name, labels[wnids[stem]]) for name, stem in stems.items() if wnids[stem] in labels]


@DATASETS.register_module()
class ImageNet1K(_Tree):
    """mmpretrain's ``ImageNet`` with a check that its folders are those of the 1000 classes.

    mmpretrain numbers the folders in sorted order, whatever their names are. This dataset reports wrong, missing and
    additional folders, and lines of ``meta/{split}.txt`` whose class id differs from ImageNet's order. The weights of
    class-conditional models, the teachers and the class names in prompts rely on that order.

    Args:
        data_root: Folder of ``train`` and ``val``: ``{split}/<wnid>/*.JPEG``, or a ``val`` of 50 000 images with
            ``LOC_val_solution.csv`` in this folder or three levels above, as in Kaggle's ``ILSVRC/Data/CLS-LOC``; or
            any tree with ``meta/{split}.txt``. Only the split itself is read, so distillation does not need ``val``.
        split: ``'train'`` or ``'val'``.
        **kwargs: As for mmpretrain's ``ImageNet``.

    Example:
        >>> dataset = dict(type='mmdistill.ImageNet1K', data_root='data/imagenet', split='train')
    """

    def labels(self) -> Dict[str, int]:
        if len(self.CLASSES) != 1000:
            raise DistillError(f'ImageNet1K has 1000 classes, not {len(self.CLASSES)}: for some of them use '
                               'type=mmdistill.ImageNetSubset with their WordNet ids')
        return {wnid: label for label, wnid in enumerate(imagenet_wnids())}

    def check_tree(self, folders: Sequence[str]) -> None:
        check_folders(folders, self.CLASSES, self.img_prefix)

    def load_data_list(self) -> List[dict]:
        infos = super().load_data_list()
        if self.ann_file:
            check_order([osp.basename(osp.dirname(info['img_path'])) for info in infos],
                        [info.get('gt_label', 0) for info in infos], self.ann_file)
        return infos


@DATASETS.register_module()
class ImageNetSubset(_Tree):
    """Some classes of ImageNet; the class id is the position in ``classes``.

    mmpretrain's ``ImageNet`` requires that the folders are exactly the classes. This dataset reads its classes from any
    tree of ``{train,val}/<wnid>/*.JPEG`` that contains them, such as the whole ImageNet.

    Args:
        data_root: See :class:`ImageNet1K`.
        split: ``'train'`` or ``'val'``.
        classes: WordNet ids, the names of the folders.
        **kwargs: As for mmpretrain's ``BaseDataset`` (``pipeline``, ``metainfo``, ...).

    Example:
        >>> dataset = dict(type='mmdistill.ImageNetSubset', data_root='data/imagenet', split='train',
        ...                classes=['n01440764', 'n02102040'])
    """

    def __init__(self, data_root: str, split: str, classes: Sequence[str], **kwargs: Any) -> None:
        if len(set(classes)) < len(classes):
            raise DistillError(f'ImageNetSubset: some of the {len(classes)} classes are listed twice')
        super().__init__(data_root, data_prefix=split, classes=list(classes), **kwargs)

    def labels(self) -> Dict[str, int]:
        return {name: label for label, name in enumerate(self.CLASSES)}

    def check_tree(self, folders: Sequence[str]) -> None:
        if absent := sorted({*self.CLASSES} - {*folders}):
            more = f' (and {len(absent) - 1} others)' if len(absent) > 1 else ''
            raise DistillError(f'no class folder at {join_path(self.img_prefix, absent[0])}{more}: check data_root, '
                               'split and classes; the tree is <split>/<wnid>/*.JPEG')
