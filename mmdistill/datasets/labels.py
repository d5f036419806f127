"""Reading the images and labels of any mmpretrain dataset for prototypes and synthesis."""
import os.path as osp
import re
from collections import Counter
from functools import cached_property
from typing import Any, Dict, List, Tuple

import numpy as np
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from PIL import Image, ImageOps

from mmdistill.errors import DistillError
from mmdistill.files import config_hash
from mmdistill.imagenet import check_order
from mmdistill.tasks.base import Source
from .reading import ImageReader


class DatasetLabels(Source):
    """The images of an mmpretrain dataset, or of several behind wrappers, by class, with the names, texts and folders
    of the classes.

    Attributes:
        labels: int64 (N,) class id of each image.
        counts: int64 (K,) images of each class.

    Raises:
        DistillError: The dataset is empty, names no classes or no files, a label is out of range, or the classes are
            ImageNet's and an image has the id of another class than its folder's.
    """

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        for part in self.parts:
            name = type(part).__name__
            if not len(part):
                raise DistillError(f'{name} finds no image: check data_root, data_prefix and ann_file')
            first = part.get_data_info(0)
            if 'img_path' not in first or np.ndim(first.get('gt_label', ())):
                raise DistillError(f'{name} has no image files with one class each: give a classification dataset of '
                                   'files')
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        self.images: List[str] = [str(info['img_path']) for info in infos]
        self._readers = [ImageReader.of_dataset(part) for part in self.parts]
        self.labels = np.array([info['gt_label'] for info in infos], np.int64)
        self.counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.classes)))
        if len(wrong):
            raise DistillError(f'{self.images[wrong[0]]} has class id {self.labels[wrong[0]]}, but {name} names '
                               f'{len(self.classes)} classes: correct the ann_file or the list of classes')
        if self.classes == tuple(IMAGENET_CATEGORIES):
            check_order([osp.basename(osp.dirname(path)) for path in self.images], self.labels.tolist(), name)

    def of_class(self, label: int) -> np.ndarray:
        """int64 indices of the images of a class, ascending; a DistillError where there are none."""
        indices = np.flatnonzero(self.labels == label)
        if not len(indices):
            raise DistillError(f'class {label} ({self.classes[label]}) has no image: add some, or take it out of the '
                               "dataset's classes")
        return indices

    @cached_property
    def label_texts(self) -> Tuple[str, ...]:
        """What each class is called in prompts: ``metainfo['label_texts']``, or the classes' own names if these are no
        WordNet ids."""
        texts = self.dataset.metainfo.get('label_texts')
        if texts is None:
            if coded := [name for name in self.classes if re.fullmatch(r'n\d{8}', name)]:
                raise DistillError(f'class {coded[0]} has no label text: give the dataset metainfo=dict('
                                   "label_texts=('tench', ...)), one a class")
            texts = self.classes
        bad = [i for i, text in enumerate(texts) if not (isinstance(text, str) and text.strip())]
        if bad or len(texts) != len(self.classes):
            missing = bad[0] if bad else min(len(texts), len(self.classes) - 1)
            raise DistillError(f'{len(texts)} label texts for {len(self.classes)} classes; class {missing} '
                               f'({self.classes[missing]}) is the first without: give metainfo.label_texts one '
                               'a class')
        return tuple(texts)

    @cached_property
    def folders(self) -> Tuple[str, ...]:
        """A folder's name for each class: that of its real images where all are in one of their own, or its name."""
        found: List[set] = [set() for _ in self.classes]
        for path, label in zip(self.images, self.labels.tolist()):
            found[label].add(osp.basename(osp.dirname(path)))
        names = [min(folders) if len(folders) == 1 else '' for folders in found]
        if not all(names) or len(set(names)) < len(names):
            names = [re.sub(r'[^\w-]+', '_', name).strip('_') for name in self.classes]
        twice = [name for name, count in Counter(names).items() if count > 1 or not name]
        return tuple(f'{i:04d}_{name}'.rstrip('_') if name in twice else name for i, name in enumerate(names))

    def image(self, index: int, size: Tuple[int, int], crop: bool) -> np.ndarray:
        """RGB uint8 (H, W, 3) of this ``size`` (H, W); with ``crop`` scaled to cover it and cropped at the centre, else
        squashed to it."""
        read = self._readers[self.rows[index][0]]
        image = Image.fromarray(read(self.images[index], self.dataset.get_data_info(index)))
        fit = ImageOps.fit if crop else Image.Image.resize
        return np.asarray(fit(image, size[::-1], Image.Resampling.BICUBIC))

    def reading(self) -> Dict[str, Any]:
        return self._readers[0].public()

    @cached_property
    def class_fingerprints(self) -> Tuple[str, ...]:
        """One of each class, by its images in their order; it changes when one of their files does."""
        images: List[Dict[int, List[str]]] = [{} for _ in self.classes]  # of each class, by their dataset
        for path, label, (part, _) in zip(self.images, self.labels.tolist(), self.rows):
            images[label].setdefault(part, []).append(path)
        found = [[self._readers[part].fingerprint(paths, root=str(self.parts[part].data_root or ''))
                  for part, paths in (by_part or {0: []}).items()] for by_part in images]
        return tuple(prints[0] if len(prints) == 1 else config_hash(prints) for prints in found)

    def fingerprint(self) -> str:
        """Changes when a file or a label does."""
        return config_hash([self.classes, self.class_fingerprints])
