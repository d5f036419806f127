"""Invalid comparisons are refused, in one line that names the reason and the key."""
import numpy as np
import pytest

from mmdistill.errors import DistillError
from mmdistill.evaluation.guards import (check_classes, check_labels, check_overlap, check_soft_labels,
                                         split_note)


def test_classes_are_compared_by_name_and_order():
    check_classes('a', ['cat', 'dog'], ('cat', 'dog'))
    with pytest.raises(DistillError, match=r"^a: .* another order \(id 0 is 'dog', there 'cat'\)"):
        check_classes('a', ['dog', 'cat', 'eel'], ['cat', 'dog', 'eel'])
    with pytest.raises(DistillError, match='only in the training set: fox; only in the test set: dog'):
        check_classes('a', ['cat', 'fox'], ['cat', 'dog'])
    with pytest.raises(DistillError, match='its 1 classes differ from the 2'):
        check_classes('a', ['cat'], ['cat', 'dog'])


def test_an_empty_class_is_named():
    check_labels('a', np.array([0, 2, 1]), 'xyz')
    with pytest.raises(DistillError, match="a: 2 of 4 classes have no image, the first is 'y'"):
        check_labels('a', np.array([0, 2, 0]), 'xyzw')


def test_overlap_is_found_by_content(tmp_path):
    files = {}
    for name, data in dict(a=b'one', b=b'two', c=b'three', d=b'two', e=b'six').items():
        files[name] = tmp_path / name
        files[name].write_bytes(data)
    names = {key: str(path) for key, path in files.items()}
    check_overlap('x', [names['a'], names['b']], [names['c'], names['e']])  # 'one' and 'six' are of one size
    with pytest.raises(DistillError, match='x: 1 of its images are test images too, such as .*/b and .*/d'):
        check_overlap('x', [names['a'], names['b']], [names['c'], names['d']])
    with pytest.raises(DistillError, match='1 of its images'):
        check_overlap('x', [names['a']], [names['a']])
    check_overlap('x', ['streets://train/0'], ['streets://test/0'])
    with pytest.raises(DistillError, match='streets://test/0'):
        check_overlap('x', ['streets://test/0'], ['streets://test/0'])


def test_splits_of_imagenet_are_told_apart():
    train, val = 'n01440764/n01440764_10026.JPEG', 'n01440764/ILSVRC2012_val_00000293.JPEG'
    assert split_note([train], [val]) is None
    assert "fastai's split" in split_note([train, val], [train, val])
    assert split_note(['a/1.png'], ['a/2.png']) is None
    with pytest.raises(DistillError, match="fastai's split"):
        split_note([train, val], [val])


def test_soft_labels_have_to_be_there():
    class Data(list):
        def full_init(self):
            """As of all datasets of OpenMMLab."""

        def get_data_info(self, index):
            return self[index]

    check_soft_labels('a', Data([dict(gt_score=[0.5, 0.5])]))
    with pytest.raises(DistillError, match='a: its image 1 has no soft label'):
        check_soft_labels('a', Data([dict(gt_score=[0.5, 0.5]), dict(gt_label=1)]))
