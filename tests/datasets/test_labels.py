import numpy as np
import pytest
from PIL import Image

from mmdistill.datasets import DatasetLabels
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS

NAMES = ('dog', 'cat', 'owl')


def write(root, folders, count=2):
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for n in range(count):
            Image.new('RGB', (40, 20), (10 * n, 0, 200)).save(root / folder / f'{n}.png')


def dataset(root, ann=None, **kwargs):
    if ann is not None:
        (root / 'ann.txt').write_text('\n'.join(ann))
        kwargs['ann_file'] = 'ann.txt'
    import mmpretrain.datasets  # noqa: F401
    return DATASETS.build(dict(type='mmpretrain.CustomDataset', data_root=str(root), **kwargs))


def test_reads_classes_labels_and_folders(tmp_path):
    write(tmp_path, ('b dog', 'c', 'a'))
    labels = DatasetLabels(dataset(tmp_path))
    assert labels.classes == ('a', 'b dog', 'c') and labels.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert labels.folders == ('a', 'b dog', 'c') and labels.label_texts == labels.classes
    assert labels.of_class(1).tolist() == [2, 3] and len(labels) == 6
    assert labels.inputs([], (8, 8)) == {} and labels.annotation({}, 0) == {}


def test_a_class_that_a_fold_left_out(tmp_path):
    """Its images exist, so the message does not advise to remove its folder."""
    write(tmp_path, ('a', 'b', 'c'))
    inner = dict(type='mmpretrain.CustomDataset', data_root=str(tmp_path))
    fold = DATASETS.build(dict(type='mmpretrain.KFoldDataset', dataset=inner, fold=0, num_splits=3, seed=None))
    with pytest.raises(DistillError, match='has no image: KFoldDataset leaves out all of its images: set a seed'):
        [DatasetLabels(fold).of_class(label) for label in range(3)]


@pytest.mark.parametrize('classes, folders', [
    (NAMES, ['dog', 'cat', 'owl']),
    (('tench, Tinca', 'a/b', 'c'), ['tench_Tinca', 'a_b', 'c']),
    (('a b', 'a/b', '..'), ['0000_a_b', '0001_a_b', '0002']),
])
def test_folders_of_classes_that_share_one(tmp_path, classes, folders):
    write(tmp_path, ['flat'], 3)
    labels = DatasetLabels(dataset(tmp_path, [f'flat/{n}.png {n}' for n in range(3)], metainfo=dict(classes=classes)))
    assert list(labels.folders) == folders


def test_images_cover_or_are_squashed(tmp_path):
    (tmp_path / 'a').mkdir()
    left = np.zeros((20, 40, 3), np.uint8)
    left[:, 10:30] = 255  # the middle half
    Image.fromarray(left).save(tmp_path / 'a/0.png')
    labels = DatasetLabels(dataset(tmp_path))
    covered, squashed = (labels.image(0, (10, 10), crop) for crop in (True, False))
    assert covered.shape == squashed.shape == (10, 10, 3) and covered.dtype == np.uint8
    assert covered[:, 1:9].min() > 200 and squashed[:, :1].max() < 60 and squashed[:, 4:6].min() > 200


def test_fingerprint_changes_with_files_and_labels(tmp_path):
    write(tmp_path, ['a'], 2)
    ann = [f'a/{n}.png {n}' for n in range(2)]
    first = DatasetLabels(dataset(tmp_path, ann, metainfo=dict(classes=NAMES))).fingerprint()
    assert DatasetLabels(dataset(tmp_path, ann, metainfo=dict(classes=NAMES))).fingerprint() == first
    swapped = [f'a/{n}.png {1 - n}' for n in range(2)]
    assert DatasetLabels(dataset(tmp_path, swapped, metainfo=dict(classes=NAMES))).fingerprint() != first
    Image.new('RGB', (9, 9)).save(tmp_path / 'a/1.png')
    assert DatasetLabels(dataset(tmp_path, ann, metainfo=dict(classes=NAMES))).fingerprint() != first


@pytest.mark.parametrize('ann, kwargs, message', [
    (['a/0.png 5'], dict(metainfo=dict(classes=NAMES)), r'a/0\.png has class id 5, .*3 classes'),
    (['a/0.png 0'], dict(), 'has no class names'),
    (['a/0.png'], dict(with_label=False, metainfo=dict(classes=NAMES)), 'no image files with one class each'),
])
def test_bad_data_sets(tmp_path, ann, kwargs, message):
    write(tmp_path, ['a'])
    with pytest.raises(DistillError, match=message):
        DatasetLabels(dataset(tmp_path, ann, **kwargs))


def test_missing_parts_are_named(tmp_path):
    write(tmp_path, ['a'])
    labels = DatasetLabels(dataset(tmp_path, ['a/0.png 0', 'a/7.png 1'], metainfo=dict(classes=NAMES)))
    with pytest.raises(DistillError, match=r"cannot read .*a/7\.png, line 2 of .*: no such image"):
        labels.of_class(2)  # has no image, perhaps since a line was read in another way than it was meant
    with pytest.raises(DistillError, match=r'class 2 \(owl\) has no image: add some, or remove it from classes'):
        DatasetLabels(dataset(tmp_path, ['a/0.png 0', 'a/1.png 1'], metainfo=dict(classes=NAMES))).of_class(2)
    with pytest.raises(DistillError, match=r'a/7\.png is not a readable image \(No such file'):
        labels.image(1, (4, 4), True)
    for texts, message in ((('dog', 'cat'), '2 label texts for 3 classes; class 2'),
                           (('dog', ' ', 'owl'), r'class 1 \(cat\) is the first')):
        labels = DatasetLabels(dataset(tmp_path, ['a/0.png 0'], metainfo=dict(classes=NAMES, label_texts=texts)))
        with pytest.raises(DistillError, match=message):
            _ = labels.label_texts
    labels = DatasetLabels(dataset(tmp_path, ['a/0.png 0'], metainfo=dict(classes=('n01440764', ))))
    with pytest.raises(DistillError, match='class n01440764 has no label text'):
        _ = labels.label_texts
