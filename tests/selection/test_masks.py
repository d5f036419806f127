"""Masks, with mmseg's reading as the reference for the ids."""
import io

import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.selection import mask_histogram, read_mask


def png(array, mode=None, **save):
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    if mode == 'P':
        image = image.convert('L')
        image.putpalette([(37 * i) % 256 for i in range(768)])
    elif mode:
        image = image.convert(mode)
    image.save(buffer, 'png', **save)
    return buffer.getvalue()


def read_by_mmseg(data, folder, **how):
    path = folder / 'mask.png'
    path.write_bytes(data)
    results = dict(
        seg_map_path=str(path), seg_fields=[], reduce_zero_label=how.get('reduce_zero_label', False),
        label_map=how.get('label_map'))
    return LoadAnnotations()(results)['gt_seg_map']


@pytest.mark.parametrize('reduce', [False, True])
@pytest.mark.parametrize('label_map', [None, {0: 255, 1: 0, 2: 1, 3: 255, 4: 2, 5: 3, 6: 4}, {0: 1, 1: 0}, {255: 3}])
@pytest.mark.parametrize('mode', ['L', 'P'])
def test_same_ids_as_mmseg(tmp_path, mode, reduce, label_map):
    array = np.random.default_rng(0).choice(np.array([0, 1, 2, 3, 4, 5, 6, 255], np.uint8), (13, 17))
    how = dict(reduce_zero_label=reduce, label_map=label_map)
    mask = read_mask(png(array, mode), 'm.png', num_classes=7, **how)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, read_by_mmseg(png(array, mode), tmp_path, **how))


def test_one_bit_mask(tmp_path):
    array = np.random.default_rng(0).integers(0, 2, (9, 11)).astype(bool)
    mask = read_mask(png(array), 'm.png', num_classes=2)
    np.testing.assert_array_equal(mask, array)
    np.testing.assert_array_equal(mask, read_by_mmseg(png(array), tmp_path))


def test_ignore_index_is_a_train_id():
    array = np.array([[0, 1, 2, 255]], np.uint8)
    assert read_mask(png(array), 'm', num_classes=3, ignore_index=1).tolist() == [[0, 255, 2, 255]]
    assert read_mask(png(array), 'm', num_classes=3, ignore_index=0, reduce_zero_label=True).tolist() == [
        [255, 255, 1, 255]]


def test_older_mmseg_maps_removed_classes_to_minus_1():
    array = np.array([[0, 1, 2]], np.uint8)
    assert read_mask(png(array), 'm', num_classes=2, label_map={0: 1, 1: -1, 2: 0}).tolist() == [[1, 255, 0]]


def test_an_ignored_id_may_be_out_of_range():
    array = np.array([[0, 200]], np.uint8)
    assert read_mask(png(array), 'm', num_classes=1, ignore_index=200).tolist() == [[0, 255]]


@pytest.mark.parametrize('array, how, parts', [
    ([[0, 19, 19]], dict(num_classes=19), ('a/b.png', 'id 19 in 2 pixels', '0..18, 255')),
    ([[1, 4]], dict(num_classes=3, reduce_zero_label=True), ('a/b.png', 'id 4 in 1', '0..3, 255')),
    ([[0, 254]], dict(num_classes=150, reduce_zero_label=True), ('a/b.png', 'id 254', '0..150, 255')),
    ([[3]], dict(num_classes=2, label_map={0: 0, 1: 1, 2: 255}), ('a/b.png', 'id 3', '0..2, 255')),
])
def test_id_out_of_range_names_file_id_and_range(array, how, parts):
    with pytest.raises(DistillError) as error:
        read_mask(png(np.array(array, np.uint8)), 'a/b.png', **how)
    for part in parts:
        assert part in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('data, said', [
    (png(np.zeros((4, 4, 3), np.uint8)), 'RGB'),
    (png(np.zeros((4, 4, 4), np.uint8)), 'RGBA'),
    (png(np.zeros((4, 4), np.uint8), 'LA'), 'LA'),
    (b'', 'not a readable mask'),
    (b'no picture', 'not a readable mask'),
    (png(np.random.default_rng(0).integers(0, 9, (64, 64)).astype(np.uint8))[:200], 'not a readable mask'),
])
def test_unusable_masks_give_one_line(data, said):
    with pytest.raises(DistillError, match=said) as error:
        read_mask(data, 'a/b.png', num_classes=9)
    assert 'a/b.png' in str(error.value) and '\n' not in str(error.value)


def test_jpeg_is_refused():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, 'jpeg')
    with pytest.raises(DistillError, match='JPEG'):
        read_mask(buffer.getvalue(), 'm.jpg', num_classes=2)


@pytest.mark.parametrize('how', [
    dict(num_classes=0), dict(num_classes=256), dict(num_classes=2, ignore_index=-100),
    dict(num_classes=2, label_map={0: -2}), dict(num_classes=2, label_map={0: 256})])
def test_bad_arguments(how):
    with pytest.raises(DistillError):
        read_mask(png(np.zeros((2, 2), np.uint8)), 'm', **how)


def test_histogram():
    mask = np.random.default_rng(1).choice(np.array([0, 1, 3, 255], np.uint8), (20, 30))
    counts = mask_histogram(mask, 5)
    assert counts.dtype == np.int64
    assert counts.tolist() == [(mask == c).sum() for c in range(5)]


@pytest.mark.parametrize('mask', [np.array([[5]], np.uint8), np.zeros((2, 2), np.int64), np.zeros(4, np.uint8), None])
def test_histogram_refuses(mask):
    with pytest.raises(DistillError, match='here.png'):
        mask_histogram(mask, 5, 'here.png')
