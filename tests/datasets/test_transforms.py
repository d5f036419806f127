"""ShufflePatches permutes columns and rows; mmpretrain's Lighting with the protocols' settings equals AlexNet's."""
import itertools

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope

from mmdistill.datasets import ShufflePatches
from mmdistill.errors import DistillError


def pixels(height, width):
    """(H, W, 3): every pixel has its row, its column and 0."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, 0 * rows], -1).astype(np.uint8)


@pytest.mark.parametrize('size', [(8, 8), (9, 7), (2, 5), (3, 2)])
@pytest.mark.parametrize('factor', [1, 2, 3])
def test_complete_columns_and_rows_are_permuted(size, factor):
    image = pixels(*size)
    before = image.copy()
    np.random.seed(0)
    for _ in range(20):
        out = ShufflePatches(factor)({'img': image})['img']
        assert out.shape == image.shape and out.dtype == image.dtype
        np.testing.assert_array_equal(image, before)
        rows, columns = out[:, 0, 0], out[0, :, 1]
        np.testing.assert_array_equal(out[..., 0], np.repeat(rows[:, None], size[1], 1))
        np.testing.assert_array_equal(out[..., 1], np.repeat(columns[None], size[0], 0))
        for order, length in ((rows, size[0]), (columns, size[1])):
            assert sorted(order) == list(range(length))
            # Inside a strip the order stays: no more breaks than there are borders of strips.
            assert (np.diff(order.astype(int)) != 1).sum() <= factor - 1


def test_every_order_comes_as_often():
    np.random.seed(0)
    image = pixels(6, 6)
    seen = {}
    for _ in range(3000):
        out = ShufflePatches(3)({'img': image})['img']
        key = tuple(out[::2, 0, 0] // 2), tuple(out[0, ::2, 1] // 2)
        seen[key] = seen.get(key, 0) + 1
    orders = list(itertools.permutations(range(3)))
    assert set(seen) == set(itertools.product(orders, orders))
    assert 40 < min(seen.values()) and max(seen.values()) < 140  # 83 expected, standard deviation 9


def test_the_last_strip_has_the_rest():
    np.random.seed(0)
    outs = [ShufflePatches(2)({'img': pixels(2, 5)})['img'][0, :, 1].tolist() for _ in range(20)]
    assert {tuple(out) for out in outs} == {(0, 1, 2, 3, 4), (2, 3, 4, 0, 1)}


def test_grey_images_and_bad_factor():
    assert ShufflePatches(2)({'img': np.zeros((4, 6), np.float32)})['img'].shape == (4, 6)
    with pytest.raises(DistillError, match='factor=0'):
        ShufflePatches(0)


def test_lighting_of_the_protocol_is_alexnets(root, monkeypatch):
    """On RGB in [0, 1], AlexNet's augmentation adds sum_i alpha_i * eigval_i * eigvec_i, alpha ~ N(0, 0.1)."""
    eigval = np.array([0.2175, 0.0188, 0.0045])
    eigvec = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    np.testing.assert_allclose(eigvec.T @ eigvec, np.eye(3), atol=1e-3)  # eigenvectors are columns, rows R, G, B
    pipeline = Config.fromfile(root / 'configs/protocols/idc_hard.py').train_pipeline
    names = [step['type'] for step in pipeline]
    import mmpretrain.datasets  # noqa: F401
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        cast, lighting = (TRANSFORMS.build(pipeline[names.index(name)]) for name in ('Normalize', 'Lighting'))
    rgb = np.random.default_rng(0).random((5, 4, 3))
    rgb[0] = 0  # black and white: 8 bits would wrap around
    rgb[1] = 1
    image = np.rint(255 * rgb[..., ::-1]).astype(np.uint8)

    np.random.seed(3)
    alpha = np.random.normal(0, 0.1, 3)
    np.random.seed(3)
    out = lighting(cast({'img': image}))['img']
    assert out.dtype == np.float32
    expected = image[..., ::-1] / 255 + eigvec @ (alpha * eigval)
    np.testing.assert_allclose(out[..., ::-1] / 255, expected, atol=1e-6)
    assert out.min() < 0 or out.max() > 255

    draws = []
    monkeypatch.setattr(np.random, 'normal', lambda *args: draws.append(args) or np.zeros(3))
    lighting(cast({'img': image}))
    assert draws == [(0, 0.1, 3)]
