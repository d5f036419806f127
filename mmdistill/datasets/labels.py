"""Reads the images and labels of any mmpretrain dataset, for prototypes and generation."""
import numbers
import os.path as osp
import re
from functools import cached_property
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from PIL import Image, ImageOps

from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.imagenet import check_order
from mmdistill.tasks.base import Source
from .class_folders import check_class_order, folder_names
from .listing import check_files, line_of, no_images
from .reading import ImageReader


class DatasetLabels(Source):
    """Images of an mmpretrain dataset (or of several in wrappers) with their labels, class names and folders.

    Attributes:
        labels: int64 (N,), class id of each image.
        counts: int64 (K,), number of images per class.

    Raises:
        DistillError: The dataset is empty or has no class names or files, a label is out of range, an image has two
            labels, or a folder named like a class has another class id.
    """

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        for part in self.parts:
            if not len(part):
                raise DistillError(f'{type(part).__name__}: {no_images(part)}')
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        self._check_entries(infos)
        self.images: List[str] = [str(info['img_path']) for info in infos]
        self._readers = [ImageReader.of_dataset(part) for part in self.parts]
        self.labels = np.array([info['gt_label'] for info in infos], np.int64)
        owners = np.array([part for part, _ in self.rows])
        self._of_part = [np.flatnonzero(owners == number) for number in range(len(self.parts))]
        for part, rows in zip(self.parts, self._of_part):
            self._check_ids(part, [self.images[row] for row in rows], self.labels[rows])
        self._check_single()
        self.counts = np.bincount(self.labels, minlength=len(self.classes))

    def _check_single(self) -> None:
        """Check that no file has two class ids."""
        first: Dict[str, int] = {}
        for row, path in enumerate(self.images):
            other = first.setdefault(path if '://' in path else osp.normpath(path), row)
            if self.labels[other] != self.labels[row]:
                places = [line_of(self.parts[self.rows[i][0]], self.images[i], self.labels[i]) for i in (other, row)]
                one, two = (f'{label} ({self.classes[label]})' for label in self.labels[[other, row]])
                raise DistillError(f'{path} has class id {one}{places[0]}, and {two}{places[1]}: an image has one '
                                   'class: remove one of the entries')

    def _check_entries(self, infos: Sequence[Dict[str, Any]]) -> None:
        """Check that each entry has a file and a single class id."""
        for row, info in enumerate(infos):
            if 'img_path' in info and _is_id(info.get('gt_label')):
                continue
            name = type(self.parts[self.rows[row][0]]).__name__
            which = f'{info["img_path"]} has gt_label={info.get("gt_label")!r}; ' if 'img_path' in info else ''
            raise DistillError(f'{name} has no image files with one class each: {which}give a classification dataset '
                               'of files')

    def _check_ids(self, part: Any, images: Sequence[str], labels: np.ndarray) -> None:
        """Check the range of the class ids of a dataset, and that they agree with its folders."""
        name, count = type(part).__name__, len(self.classes)
        wrong = np.flatnonzero((labels < 0) | (labels >= count))
        if len(wrong):
            path = images[wrong[0]]
            advice = 'correct the ann_file or the list of classes'
            if labels.min() == 1 and labels.max() == count:
                advice = 'class ids start at 0, and these start at 1: subtract 1 from each'
            raise DistillError(f'{path} has class id {labels[wrong[0]]}{line_of(part, path)}, but {name} names {count} '
                               f'classes, 0..{count - 1}: {advice}')
        if self.classes == tuple(IMAGENET_CATEGORIES):
            check_order([osp.basename(osp.dirname(path)) for path in images], labels.tolist(), name)
        check_class_order(_pairs(images, labels), _numbered(part), self.classes, getattr(part, 'ann_file', '') or name)

    def check_files(self) -> None:
        """Raise a DistillError if an image that an ann_file lists is missing."""
        for part, rows, reader in zip(self.parts, self._of_part, self._readers):
            check_files(part, [self.images[row] for row in rows], 'image',
                        getattr(reader.transform, 'backend_args', None))

    @cached_property
    def _numbers(self) -> Optional[Dict[int, str]]:
        """The folder of each class, if mmpretrain numbered the folders."""
        found = [numbered for part in reversed(self.parts) if (numbered := _numbered(part))]
        return {label: name for one in found for label, name in one.items()} if len(found) == len(self.parts) else None

    def of_class(self, label: int) -> np.ndarray:
        """Indices of the images of a class, int64, ascending; raises a DistillError if there are none."""
        indices = np.flatnonzero(self.labels == label)
        if not len(indices):
            self.check_files()  # a misread line of the list usually means a missing file; that error explains more
            name = self.classes[label]
            folder = (self._numbers or {}).get(label)
            advice = f'add some, or remove the folder {folder!r}, and the name where you list classes' if folder else (
                'add some, or remove it from classes and decrease the following ids by 1')
            if self.folds:
                advice = 'KFoldDataset leaves out all of its images: set a seed, which shuffles them, or another fold'
            raise DistillError(f'class {label} ({name}) has no image: {advice}')
        return indices

    @cached_property
    def label_texts(self) -> Tuple[str, ...]:
        """Name of each class in prompts: ``metainfo['label_texts']``, or the class names unless they are WordNet ids.

        Raises:
            DistillError: A class has no text.
        """
        texts = self.dataset.metainfo.get('label_texts')
        if texts is None:
            if coded := [name for name in self.classes if re.fullmatch(r'n\d{8}', name)]:
                raise DistillError(f'class {coded[0]} has no label text: give the dataset metainfo=dict('
                                   "label_texts=('tench', ...)), one per class")
            texts = self.classes
        texts = [str(text) if isinstance(text, numbers.Number) else text for text in texts]
        bad = [i for i, text in enumerate(texts) if not (isinstance(text, str) and text.strip())]
        if bad or len(texts) != len(self.classes):
            missing = bad[0] if bad else min(len(texts), len(self.classes) - 1)
            raise DistillError(f'{len(texts)} label texts for {len(self.classes)} classes; class {missing} '
                               f'({self.classes[missing]}) is the first without: give metainfo.label_texts one '
                               'per class')
        return tuple(texts)

    @cached_property
    def folders(self) -> Tuple[str, ...]:
        """Folder name for each class; see :func:`~mmdistill.datasets.class_folders.folder_names`."""
        return folder_names(_pairs(self.images, self.labels), self._numbers, self.classes)

    def image(self, index: int, size: Tuple[int, int], crop: bool) -> np.ndarray:
        """Read an image and resize it.

        Args:
            index: Index of the sample.
            size: (H, W) in pixels.
            crop: True: scaled to cover the size and cropped at the centre. False: resized without keeping the aspect
                ratio.

        Returns:
            RGB uint8 (H, W, 3).
        """
        read = self._readers[self.rows[index][0]]
        image = Image.fromarray(read(self.images[index], self.dataset.get_data_info(index)))
        fit = ImageOps.fit if crop else Image.Image.resize
        return np.asarray(fit(image, size[::-1], Image.Resampling.BICUBIC))

    def reading(self) -> Dict[str, Any]:
        return self._readers[0].public()

    @cached_property
    def class_fingerprints(self) -> Tuple[str, ...]:
        """Hash of the image files of each class, in order."""
        images: List[Dict[int, List[str]]] = [{} for _ in self.classes]  # of each class, by dataset
        for path, label, (part, _) in zip(self.images, self.labels.tolist(), self.rows):
            images[label].setdefault(part, []).append(path)
        found = [[self._readers[part].fingerprint(paths, root=str(self.parts[part].data_root or ''))
                  for part, paths in (by_part or {0: []}).items()] for by_part in images]
        return tuple(prints[0] if len(prints) == 1 else config_hash(prints) for prints in found)

    def fingerprint(self) -> str:
        """Hash of the image files and the labels."""
        return config_hash([self.classes, self.class_fingerprints])


def _pairs(images: Sequence[str], labels: np.ndarray) -> Set[Tuple[str, int]]:
    """(folder, class id) for the class ids of the images in each folder."""
    return {(osp.dirname(path), label) for path, label in zip(images, labels.tolist())}


def _numbered(dataset: Any) -> Optional[Dict[int, str]]:
    """Class id → folder, if the dataset numbered its folders; otherwise None."""
    folders = None if getattr(dataset, 'ann_file', '') else getattr(dataset, 'folder_to_idx', None)
    return None if folders is None else {label: folder for folder, label in folders.items()}


def _is_id(label: Any) -> bool:
    """Whether a label is a single integer."""
    if isinstance(label, (int, np.integer)):
        return True
    try:
        return not np.ndim(label) and int(label) == float(label)
    except (TypeError, ValueError):
        return False
