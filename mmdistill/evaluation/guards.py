"""Checks for a fair comparison: class order, empty classes, overlap of training and test images."""
import os.path as osp
import re
from typing import Any, List, Optional, Sequence

import numpy as np

from mmdistill.datasets.distilled import has_weights
from mmdistill.errors import DistillError
from mmdistill.files import file_digest

_VAL_NAME = re.compile(r'ILSVRC2012_val_\d+\.JPEG$')


def check_classes(name: str, classes: Sequence[str], test_classes: Sequence[str]) -> None:
    """Raise a DistillError unless the training set ``name`` has the test set's classes in the same order."""
    classes, test_classes = [*map(str, classes)], [*map(str, test_classes)]  # names may be numbers
    extra, absent = sorted(set(classes) - set(test_classes)), sorted(set(test_classes) - set(classes))
    if extra or absent or len(classes) != len(test_classes):
        raise DistillError(f'{name}: its {len(classes)} classes differ from the {len(test_classes)} of the test set '
                           f'(only in the training set: {", ".join(extra[:3]) or "none"}; only in the test set: '
                           f'{", ".join(absent[:3]) or "none"}): '
                           'evaluate on a test set of the same classes')
    for index, (here, there) in enumerate(zip(classes, test_classes)):
        if here != there:
            raise DistillError(f'{name}: its classes are the test set\'s in another order (id {index} is {here!r}, '
                               f'there {there!r}): give both the same metainfo.classes')


def check_several(classes: Sequence[str], where: str, counted: str) -> None:
    """Raise a DistillError if the dataset at key ``where`` has only one class.

    With one class, the loss of a student is 0; mmseg's heads would even take its output for that of two classes.
    """
    if len(classes) < 2:
        raise DistillError(f'{where} has only the class {classes[0]!r}, and students need at least two: add a class '
                           f'for the other {counted}, such as background, to metainfo.classes of all datasets, and '
                           'label them with its id')


def check_labels(name: str, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Raise a DistillError unless every class of the set ``name`` occurs in its ``labels``, int (N,) class ids."""
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if len(empty):
        raise DistillError(f'{name}: {len(empty)} of {len(classes)} classes have no image, the first is '
                           f'{classes[empty[0]]!r}: add images, or remove the class from metainfo.classes')


def check_soft_labels(name: str, dataset) -> None:
    """Raise a DistillError unless every image of the set ``name`` has a soft label (``gt_score``).

    For images without a soft label, mmpretrain would train on one-hot labels, which is another protocol. One-hot labels
    with image weights are rejected for the same reason.
    """
    hard = has_weights(dataset)
    bare = next((i for i in range(len(dataset)) if hard or 'gt_score' not in dataset.get_data_info(i)), None)
    if bare is not None:
        raise DistillError(f'{name}: its image {bare} has no soft label (gt_score), which the protocol needs: '
                           'add soft labels to the set, or choose a protocol with hard labels')


def check_overlap(name: str, train: Sequence[str], test: Sequence[str]) -> None:
    """Raise a DistillError if a training image of the set ``name`` has the content or the URI of a test image."""
    sizes = {path: osp.getsize(path) for path in {*train, *test} if osp.isfile(path)}
    shared = {sizes.get(path) for path in train} & {sizes.get(path) for path in test}

    def identity(path: str) -> str:  # only files of equal size are read
        return file_digest(path) if path in sizes and sizes[path] in shared else path

    trained = {identity(path): path for path in train}
    pairs = [(trained[key], path) for path in test if (key := identity(path)) in trained]
    if pairs:
        raise DistillError(f'{name}: {len(pairs)} of its images are test images too, such as {pairs[0][0]} and '
                           f'{pairs[0][1]}: remove them from one of the sets')


def split_note(train: Sequence[str], test: Sequence[str]) -> Optional[str]:
    """A note if the file names show that real training and test images follow fastai's split of ImageNet.

    The archives of ImageNette and ImageWoof mix ImageNet's training and validation images in both of their folders.
    Publications use the original split, whose validation images are partly in fastai's training folder.

    Returns:
        The note, or None for any other split.

    Raises:
        DistillError: The training images follow fastai's split and the test images the original one.
    """
    train_val, test_val = ([bool(_VAL_NAME.search(path)) for path in paths] for paths in (train, test))
    if not any(train_val) or not any(test_val):
        return None
    if all(test_val):
        raise DistillError('the training images are of fastai\'s split of ImageNet (they hold ILSVRC2012_val_… files), '
                           'the test images are the original validation set, which overlaps it: use both from one '
                           'source')
    return ('The images are in fastai\'s split of ImageNet; most published numbers use the original split '
            '(50 validation images per class), so they are not comparable.')


def paths_of(dataset: Any) -> List[str]:
    """Paths of the images of a dataset."""
    return [str(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))]
