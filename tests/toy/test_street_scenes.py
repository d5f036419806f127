import hashlib

import numpy as np
import pytest

from mmdistill.toy.street_scenes import CLASSES, SPLITS, street_scene


@pytest.fixture(scope='module')
def shares():
    """Share of each class's pixels and of the scenes that show it, over 400 scenes."""
    masks = [street_scene(index)[1] for index in range(400)]
    counts = np.stack([np.bincount(mask.ravel(), minlength=len(CLASSES)) for mask in masks])
    return counts.sum(0) / counts.sum(), (counts > 0).mean(0)


def test_long_tail(shares):
    pixels, scenes = shares
    assert len(CLASSES) >= 9 and len(pixels) == len(CLASSES)
    assert pixels.min() < 0.005 and (pixels > 0).all() and pixels.max() > 0.15
    assert scenes.min() > 0.02  # rare, but in every sensible subset


def test_a_scene_is_a_function_of_its_address():
    first, again, next_one = street_scene(7), street_scene(7), street_scene(8)
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[0], next_one[0])
    digests = {hashlib.sha256(street_scene(index, split)[0].tobytes()).digest() for split in SPLITS
               for index in range(60)}
    assert len(digests) == 180  # splits share no scene


@pytest.mark.parametrize('size', [32, 64, 128])
def test_sizes(size):
    image, mask = street_scene(3, 'val', size)
    assert image.shape == (size, size, 3) and mask.shape == (size, size)
    assert image.dtype == mask.dtype == np.uint8 and mask.max() < len(CLASSES)
    assert image.std() > 10
