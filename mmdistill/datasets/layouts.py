"""Layouts of distilled sets: folders, file names, and the encoding of masks."""
import os.path as osp
from dataclasses import dataclass
from typing import Any, ClassVar, Collection, Dict, Optional, Sequence, Tuple

import numpy as np

from mmdistill.documents import check_paths, check_record
from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE, train_ids
from mmdistill.plan import Plan
from .roots import common_root, inside_root, is_outside
from .wrappers import RealSamples

_ENCODING = ('reduce_zero_label', 'label_map', 'ignore_index')  # settings that determine the ids in the files
IMAGE_FORMATS = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.png': 'PNG'}
CLASS_SUFFIXES = {'JPEG': '.JPEG', 'PNG': '.png'}  # of images in ImageNet's tree
MASK_FORMATS = {'.png': 'PNG', '.tif': 'TIFF', '.tiff': 'TIFF'}


@dataclass(frozen=True)
class SegLayout:
    """Folders and mask encoding of an mmseg dataset; folders are relative to the data root.

    The encoding inverts what mmseg's ``LoadAnnotations`` does with ``reduce_zero_label`` and ``label_map``, so that
    mmseg reads the train ids that were written.

    Raises:
        DistillError: A folder is outside the data root, a file type is unknown, images and masks would have the same
            names, or the label map cannot be inverted. The message lists the layouts with enough classes.
    """
    task: ClassVar[str] = 'segmentation'
    annotation: ClassVar[str] = 'masks'
    name: str
    image_dir: str
    mask_dir: str
    image_suffix: str = '.jpg'  # suffix of image files after the stem; its extension selects JPEG or PNG
    mask_suffix: str = '.png'  # suffix of mask files after the stem; its extension selects PNG or TIFF
    reduce_zero_label: bool = False  # whether 0 in a file is ignored, and 1 is train id 0
    num_classes: Optional[int] = None  # maximum number of classes; None for any number
    label_map: Optional[Tuple[Tuple[int, int], ...]] = None  # (id, train id), applied after reduce_zero_label
    ann_file: str = ''  # list of the stems; empty if mmseg lists the folder
    ignore_index: int = IGNORE  # the train id that is ignored in training, as in the dataset's mask files

    def __post_init__(self) -> None:
        for path in (self.image_dir, self.mask_dir, self.ann_file):
            if is_outside(path):
                raise self._refused(f'{path} is outside the data root',
                                    'give data_prefix and ann_file relative to data_root')
        if osp.splitext(f'x{self.image_suffix}')[1].lower() not in IMAGE_FORMATS:
            raise self._refused(f'it cannot write images as *{self.image_suffix}',
                                _dotted('img_suffix', self.image_suffix, IMAGE_FORMATS)
                                or 'save the images as .png or .jpg, and set img_suffix')
        if osp.splitext(f'x{self.mask_suffix}')[1].lower() not in MASK_FORMATS:
            raise self._refused(f'it cannot write masks as *{self.mask_suffix}',
                                _dotted('seg_map_suffix', self.mask_suffix, MASK_FORMATS)
                                or 'save the masks as .png, and set seg_map_suffix')
        if (self.image_dir, self.image_suffix) == (self.mask_dir, self.mask_suffix):
            raise self._refused('an image and its mask would have the same file name',
                                "set data_prefix.seg_map_path to the masks' own folder, or another seg_map_suffix")
        kept = [new for _, new in self.label_map or () if new % 256 not in (IGNORE, self.ignore_index)]
        if len(kept) != len(set(kept)):
            raise self._refused('the label map maps two ids to one class, so masks cannot be written with it',
                                'save the masks with the class ids 0, 1, ..., and leave the label map out')

    def _refused(self, problem: str, advice: str) -> DistillError:
        """The error for a layout that cannot be written, with advice on the dataset or another layout."""
        named = other_layouts(self.num_classes)
        choice = f'set test_cfg.writer.layout to {named}' if named else (
            f'no other layout holds {self.num_classes} classes')
        return DistillError(f'layout {self.name!r}: {problem}: {choice}{", or" if named else ":"} {advice}')

    @property
    def image_format(self) -> str:
        """``'JPEG'`` or ``'PNG'``."""
        return IMAGE_FORMATS[osp.splitext(f'x{self.image_suffix}')[1].lower()]

    @property
    def mask_format(self) -> str:
        """``'PNG'`` or ``'TIFF'``."""
        return MASK_FORMATS[osp.splitext(f'x{self.mask_suffix}')[1].lower()]

    def decoding(self) -> np.ndarray:
        """Lookup table uint8 (256,): id in a file → train id, 255 = ignored."""
        table = self._mmseg_ids()
        return np.where(table == self.ignore_index, np.uint8(IGNORE), table)

    def encode(self, mask: np.ndarray) -> np.ndarray:
        """Convert train ids uint8 (H, W), 255 = ignored, to the ids of a mask file, uint8 (H, W).

        Raises:
            DistillError: The layout has no id for a class.
        """
        mapped = None if self.label_map is None else {new for _, new in self.label_map}
        table = np.full(256, -1)
        for file_id, train in enumerate(self.decoding()):
            known = mapped is None or int(train) in mapped
            if train != IGNORE and known and train < (self.num_classes or IGNORE):
                table[train] = file_id
        table[IGNORE] = self._ignored_id()
        encoded = table[mask]
        if encoded.min(initial=0) < 0:
            wrong = int(mask[encoded < 0].min())
            limit = f' of {self.num_classes} classes' if self.num_classes else ''
            raise DistillError(f'class id {wrong} cannot be written in layout {self.name!r}{limit}: choose a layout '
                               'that has this class')
        return encoded.astype(np.uint8)

    def _mmseg_ids(self) -> np.ndarray:
        """Lookup table uint8 (256,): id in a file → train id as mmseg reads it."""
        return train_ids(self.reduce_zero_label, self.label_map).astype(np.uint8)  # -1 (older mmseg) becomes 255

    def _ignored_id(self) -> int:
        """The id in a file that mmseg reads as :attr:`ignore_index` or, if there is none, as 255."""
        table, usual = self._mmseg_ids(), 0 if self.reduce_zero_label else IGNORE
        found = [usual, *np.flatnonzero(table == self.ignore_index), *np.flatnonzero(table == IGNORE)]
        return next((int(file_id) for file_id in found if table[file_id] == self.ignore_index), int(found[-1]))

    def files(self, stem: str) -> Dict[str, str]:
        """Paths of an ``image`` and its ``mask``, relative to the data root."""
        return dict(image=osp.join(self.image_dir, stem + self.image_suffix),
                    mask=osp.join(self.mask_dir, stem + self.mask_suffix))

    def ann_text(self, plan: Plan) -> str:
        """Content of :attr:`ann_file`: one stem per line."""
        return ''.join(f'{request.id}\n' for request in plan.requests)

    @classmethod
    def from_dict(cls, values: Dict[str, Any]) -> 'SegLayout':
        """The layout in a manifest; raises a DistillError if it is invalid."""
        _check(values, cls)
        pairs = values.get('label_map')
        return cls(**{**values, 'label_map': None if pairs is None else tuple(map(tuple, pairs))})

    @classmethod
    def of_dataset(cls, dataset: Any) -> 'SegLayout':
        """The layout of an mmseg dataset, so that the dataset's config can also read the distilled set.

        Args:
            dataset: A built ``BaseSegDataset`` (``lazy_init=True`` is enough). A dataset without files, such as the
                built-in scenes, gets the folders ``images`` and ``masks``. A dataset whose mask files do not contain
                its ids defines a method ``source_layout``. Several datasets in wrappers get the layout of the first
                one, if the mask files of all have the same encoding.

        Raises:
            DistillError: The dataset's layout cannot be written.
        """
        if isinstance(dataset, RealSamples):
            return cls.of_parts(dataset.parts)
        if hasattr(dataset, 'source_layout'):
            return dataset.source_layout()
        return cls.of_files(dataset)

    @classmethod
    def of_parts(cls, parts: Sequence[Any]) -> 'SegLayout':
        """:meth:`of_dataset` for several datasets: the layout of the first, which must suit all."""
        layouts = [cls.of_dataset(part) for part in parts]
        for number, layout in enumerate(layouts):
            differing = [key for key in _ENCODING if getattr(layout, key) != getattr(layouts[0], key)]
            if differing:
                first, other = (getattr(one, differing[0]) for one in (layouts[0], layout))
                raise layouts[0]._refused(
                    f"the source's datasets.0 has {differing[0]}={first} and its datasets.{number} {other}, so that no "
                    'tree suits both', 'save the masks of both with the same ids (mmdistill.DistilledDataset reads any '
                    'layout)')
        return layouts[0]

    @classmethod
    def of_files(cls, dataset: Any) -> 'SegLayout':
        """:meth:`of_dataset` for a dataset whose masks are files."""
        root, listed = dataset.data_root, dataset.ann_file
        paths = [dataset.data_prefix.get('img_path') or '', dataset.data_prefix.get('seg_map_path') or '',
                 '' if osp.isdir(listed) else listed]  # mmseg lists the images where ann_file is a folder
        images, masks, ann_file = (inside_root(path, root) for path in paths)
        if not images and not masks and dataset.img_suffix == dataset.seg_map_suffix:
            images, masks = 'images', 'masks'
        settings = dict(
            image_suffix=dataset.img_suffix, mask_suffix=dataset.seg_map_suffix,
            reduce_zero_label=dataset.reduce_zero_label,
            num_classes=len(dataset.metainfo['classes']) if dataset.metainfo.get('classes') else None,
            label_map=tuple(sorted(dataset.label_map.items())) if dataset.label_map else None,
            ignore_index=dataset.ignore_index)
        if outside := [path for path in (images, masks, ann_file) if is_outside(path)]:
            raise cls('source', 'images', 'masks', **settings)._refused(
                f'{outside[0]} is outside the data root{f" {root}" if root else ""}', common_root(*paths))
        return cls('source', images, masks, ann_file=ann_file, **settings)


def _dotted(key: str, suffix: str, known: Collection[str]) -> str:
    """Advice for a suffix without its dot; '' otherwise."""
    return f"write {key}='.{suffix}', with its dot" if f'.{suffix}'.lower() in known else ''


@dataclass(frozen=True)
class ClassLayout:
    """ImageNet's layout: a folder per class, and a list with lines ``<folder>/<file> <class id>``.

    mmpretrain reads the ids from the list, so neither the order nor the number of the folders matters.
    """
    task: ClassVar[str] = 'classification'
    annotation: ClassVar[str] = 'classes'
    name: str = 'imagenet'
    image_dir: str = 'train'  # parent of the class folders, relative to the data root
    image_suffix: str = CLASS_SUFFIXES['JPEG']  # suffix of image files after the stem
    ann_file: str = 'meta/train.txt'  # the list, relative to the data root

    def files(self, stem: str) -> Dict[str, str]:
        """Path of an ``image``, relative to the data root."""
        return dict(image=osp.join(self.image_dir, stem + self.image_suffix))

    def ann_text(self, plan: Plan) -> str:
        """Content of :attr:`ann_file`."""
        return ''.join(f'{request.id}{self.image_suffix} {request.classes[0]}\n' for request in plan.requests)

    @classmethod
    def from_dict(cls, values: Dict[str, Any]) -> 'ClassLayout':
        """The layout in a manifest; raises a DistillError if it is invalid."""
        _check(values, cls)
        return cls(**values)


def _check(values: Dict[str, Any], layout: type) -> None:
    """Check a layout from a file, which is not trusted: its fields, and that its folders and list are in the set."""
    try:
        check_record(values, layout)
        places = [osp.normpath(values.get(key) or '') for key in ('image_dir', 'mask_dir', 'ann_file')]
        check_paths(*(place for place in places if place != '.'))
    except ValueError as error:
        raise DistillError(f'the layout in the manifest of a distilled set cannot be read: {error}') from None


#: The layout in the manifest of a set, by the task of the set.
OF_TASK: Dict[str, Any] = {layout.task: layout for layout in (SegLayout, ClassLayout)}


LAYOUTS = {layout.name: layout for layout in (
    SegLayout('ade20k', 'images/training', 'annotations/training', reduce_zero_label=True, num_classes=150),
    SegLayout('coco_stuff164k', 'images/train2017', 'annotations/train2017', mask_suffix='_labelTrainIds.png',
              num_classes=171),
    SegLayout('coco_stuff10k', 'images/train2014', 'annotations/train2014', mask_suffix='_labelTrainIds.png',
              reduce_zero_label=True, num_classes=171))}


def other_layouts(num_classes: Optional[int]) -> str:
    """Names of the layouts for at least this number of classes, joined for a message; '' if there are none."""
    names = [name for name, layout in LAYOUTS.items() if (num_classes or 0) <= (layout.num_classes or 0)]
    return ' or '.join([', '.join(names[:-1])] * (len(names) > 1) + names[-1:])


def get_layout(name: str, dataset: Any = None) -> SegLayout:
    """A layout by its name: one of :data:`LAYOUTS`, or ``'source'`` for the layout of ``dataset``.

    Raises:
        DistillError: The name is unknown, or the dataset's layout cannot be written.
    """
    if name == 'source' and dataset is not None:
        return SegLayout.of_dataset(dataset)
    if name not in LAYOUTS:
        raise DistillError(f'layout={name!r} is unknown: set it to {", ".join(LAYOUTS)}, or source (the tree of the '
                           'source dataset)')
    return LAYOUTS[name]
