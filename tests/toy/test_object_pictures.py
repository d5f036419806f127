import hashlib
from collections import Counter

import numpy as np
import pytest

from mmdistill.toy.object_canvas import BACKGROUNDS, Canvas
from mmdistill.toy.object_pictures import _MODES, CLASSES, SHARES, object_picture
from mmdistill.toy.street_scenes import SPLITS


def test_classes_alternate_and_modes_have_their_shares():
    drawn = [object_picture(index, size=32)[1:] for index in range(500)]
    assert [label for label, _ in drawn] == [index % len(CLASSES) for index in range(500)]
    modes = Counter(mode for _, mode in drawn)
    np.testing.assert_allclose([modes[mode] / 500 for mode in range(5)], SHARES, atol=0.05)
    assert len(CLASSES) >= 10 and len(set(drawn)) == 5 * len(CLASSES)


def test_a_picture_is_a_function_of_its_address():
    assert np.array_equal(object_picture(7)[0], object_picture(7)[0])
    digests = {hashlib.sha256(object_picture(index, split)[0].tobytes()).digest() for split in SPLITS
               for index in range(40)}
    assert len(digests) == 120  # splits share no picture


@pytest.mark.parametrize('size', [32, 64, 128])
def test_sizes(size):
    image, label, mode = object_picture(3, 'val', size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8 and image.std() > 8
    assert label == 3 and 0 <= mode < 5


def test_pictures_of_two_sizes_show_the_same():
    small, large = (object_picture(12, size=size)[0].astype(float) for size in (32, 64))
    means = [image.reshape(8, -1, 8, image.shape[0] // 8, 3).mean((1, 3)) for image in (small, large)]
    assert np.corrcoef(means[0].ravel(), means[1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize('name', CLASSES)
def test_every_mode_draws_an_object_inside_the_picture(name):
    for draw, backgrounds, _, scale in _MODES[name]:
        canvas = Canvas(64, np.random.Generator(np.random.Philox(1)))
        assert set(backgrounds) <= set(BACKGROUNDS)
        canvas.place(scale=scale)
        draw(canvas)
        assert 0.03 < canvas.alpha.mean() < 0.8, draw.__name__
        assert canvas.alpha[[0, -1]].mean() < 0.25 and canvas.alpha[:, [0, -1]].mean() < 0.25, draw.__name__
