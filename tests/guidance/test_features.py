import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.guidance import ClassFeatureMatching, ClassStatistics
from mmdistill.guidance.features import EPS, class_fractions, class_moments

K = 3


def data(count=5, size=(8, 12)):
    rng = np.random.default_rng(0)
    masks = torch.from_numpy(rng.integers(0, K + 1, (count, *size)))
    masks[masks == K] = 255
    masks[0][masks[0] == 2] = 0  # image 0 lacks class 2
    masks[1][masks[1] == 2] = 1
    masks[1, 0, 0] = 2  # and image 1 has one pixel of it: 1 % of the image
    features = [torch.from_numpy(rng.normal(3.0, 2.0, (count, c, h, w))) for c, h, w in ((4, 8, 12), (6, 4, 6))]
    return features, masks


def naive_fractions(mask, h, w):
    """(K, h, w) by loops; the layer's sides divide the mask's."""
    y, x = mask.shape[0] // h, mask.shape[1] // w
    return np.array([[[(mask[i * y:(i + 1) * y, j * x:(j + 1) * x] == c).mean() for j in range(w)] for i in range(h)]
                     for c in range(K)])


def naive_moments(values, weights):
    """Weighted mean and variance over pixels, (C,) each. values (C, P), weights (P,)."""
    mean = (values * weights).sum(1) / weights.sum()
    return mean, ((values - mean[:, None])**2 * weights).sum(1) / weights.sum()


@pytest.mark.parametrize('size', [(8, 12), (4, 6), (2, 3)])
def test_fractions_against_loops(size):
    masks = data()[1]
    for mask, got in zip(masks, class_fractions(masks, size, K)):
        np.testing.assert_allclose(got.view(K, *size), naive_fractions(mask.numpy(), *size), atol=1e-7)


def test_fractions_of_a_finer_and_of_an_odd_layer():
    masks = data()[1]
    finer = class_fractions(masks, (16, 24), K).view(len(masks), K, 16, 24)
    assert torch.equal(finer[:, 1], (masks == 1).float().repeat_interleave(2, 1).repeat_interleave(2, 2))
    odd = class_fractions(torch.zeros(1, 7, 5, dtype=torch.long), (3, 2), K)
    assert odd[:, 0].eq(1).all()


def test_moments_against_numpy_and_far_from_zero():
    features, masks = data()
    shifted = (features[1] + 1000).float()
    mean, variance = class_moments(shifted, class_fractions(masks, (4, 6), K))
    weights = naive_fractions(masks[2].numpy(), 4, 6).reshape(K, -1)
    for c in range(K):
        expected = naive_moments(shifted[2].double().flatten(1).numpy(), weights[c])
        np.testing.assert_allclose(mean[2, c], expected[0], rtol=1e-5)
        np.testing.assert_allclose(variance[2, c], expected[1], rtol=1e-2)
    assert mean[0, 2].abs().max() == 0 and variance[0, 2].abs().max() == 0


@pytest.mark.parametrize('min_area', [0.0, 0.05])
def test_statistics_against_numpy(min_area):
    features, masks = data()
    statistics = ClassStatistics(K, min_area)
    for n in (0, 2, 4):
        statistics.fit([layer[n:n + 2] for layer in features], masks[n:n + 2])
    areas = [[(mask == c).double().mean() for c in range(K)] for mask in masks]
    used = [[area > 0 and area >= min_area for area in row] for row in areas]
    assert statistics.images_.tolist() == [sum(bool(row[c]) for row in used) for c in range(K)]
    for index, layer in enumerate(features):
        h, w = layer.shape[-2:]
        mean, std = statistics.layers[index]
        for c in range(K):
            rows = [n for n in range(5) if used[n][c]]
            values = np.concatenate([layer[n].flatten(1).numpy() for n in rows], 1)
            weights = np.concatenate([naive_fractions(masks[n].numpy(), h, w)[c].ravel() for n in rows])
            expected_mean, variance = naive_moments(values, weights)
            np.testing.assert_allclose(mean[c], expected_mean, rtol=1e-6)
            np.testing.assert_allclose(std[c], np.sqrt(variance + EPS), rtol=1e-6)


def test_merging_with_no_images_changes_nothing():
    features, masks = data()
    statistics, expected = (ClassStatistics(K).fit(features, masks) for _ in range(2))
    for merged in (statistics.merge(ClassStatistics(K)), ClassStatistics(K).merge(expected)):
        assert merged.seen_ == 5 and torch.equal(merged.images_, expected.images_) and len(merged.layers) == 2
        for ours, theirs in zip(merged.layers, expected.layers):
            assert all(map(torch.equal, ours, theirs))


def test_parts_of_other_layers_are_refused():
    features, masks = data()
    statistics = ClassStatistics(K).fit(features, masks)
    kept = statistics.layers
    for layers, count in ((features[:1], K), ([*features, features[0]], K), (features[::-1], K), (features, K - 1)):
        classes = masks.clone()
        classes[masks == count] = 255
        with pytest.raises(DistillError, match=r'\[\(3, 4\), \(3, 6\)\] cannot be merged with those of \['):
            statistics.merge(ClassStatistics(count).fit(layers, classes))
    with pytest.raises(DistillError, match='measure both with the same network'):
        statistics.fit(features[:1], masks)
    assert statistics.seen_ == 5 and all(torch.equal(a, b) for n in range(2) for a, b in zip(statistics.layers[n],
                                                                                             kept[n]))


def test_save_and_load(tmp_path):
    features, masks = data()
    statistics = ClassStatistics(K, 0.01, fingerprint='camvid/net').fit(features, masks)
    path = tmp_path / 'statistics.safetensors'
    statistics.save(path)
    loaded = ClassStatistics.load(path, 'camvid/net')
    assert loaded.min_area == 0.01 and torch.equal(loaded.images_, statistics.images_) and len(loaded.layers) == 2
    assert all(torch.equal(a, b) for n in range(2) for a, b in zip(loaded.layers[n], statistics.layers[n]))
    with pytest.raises(DistillError, match='other data'):
        ClassStatistics.load(path, 'ade20k/net')
    path.write_bytes(path.read_bytes()[:100])
    for wrong in (path, tmp_path / 'none'):
        with pytest.raises(DistillError, match='no readable feature statistics'):
            ClassStatistics.load(wrong)


@pytest.mark.parametrize('normalize', [False, True])
def test_loss_against_numpy(normalize):
    features, masks = data()
    statistics = ClassStatistics(K, 0.0).fit(features, masks)
    other = [layer.flip(0) * 1.5 for layer in features]
    losses = ClassFeatureMatching(lambda x: other, statistics, min_area=0.05, normalize=normalize)(
        features[0], dict(mask=masks))
    for n, loss in enumerate(losses):
        expected = 0.0
        for index, layer in enumerate(other):
            mean, std = (value.numpy() for value in statistics.layers[index])
            scale = (std**2).mean(0).sum() if normalize else 1
            weights = naive_fractions(masks[n].numpy(), *layer.shape[-2:]).reshape(K, -1)
            for c in range(K):
                if (masks[n] == c).double().mean() >= 0.05:
                    ours = naive_moments(layer[n].flatten(1).numpy(), weights[c])
                    expected += (((ours[0] - mean[c])**2).sum() + ((np.sqrt(ours[1] + EPS) - std[c])**2).sum()) / scale
        assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_flat_region_has_a_finite_gradient():
    features, masks = data()
    flat = torch.full((1, 3, 8, 12), 0.5, requires_grad=True)
    statistics = ClassStatistics(K, 0).fit([torch.randn(5, 3, 8, 12)], masks)
    ClassFeatureMatching(lambda x: [x], statistics)(flat, dict(mask=masks[:1])).sum().backward()
    assert flat.grad.isfinite().all() and flat.grad.abs().max() > 0


def test_unlabelled_image_and_unseen_class_cost_nothing():
    features, masks = data()
    statistics = ClassStatistics(K, 0).fit(features, torch.where(masks == 2, 255, masks))
    loss = ClassFeatureMatching(lambda x: [layer[:2] for layer in features], statistics)
    empty = torch.stack([torch.full((8, 12), 255), torch.full((8, 12), 2)])
    assert loss(features[0][:2], dict(mask=empty)).tolist() == [0, 0]


def test_statistics_of_another_extractor():
    features, masks = data()
    statistics = ClassStatistics(K, 0).fit(features, masks)
    with pytest.raises(DistillError, match='channels'):
        ClassFeatureMatching(lambda x: features[:1], statistics)(features[0], dict(mask=masks))


def test_the_scale_is_of_the_classes_that_were_seen():
    features, masks = data()
    half = ClassStatistics(K, 0).fit(features, torch.where(masks == 2, 255, masks))
    loss, plain = (ClassFeatureMatching(lambda x: [layer[:1] for layer in features][:1], half, normalize=normalize)
                   for normalize in (True, False))
    # One layer alone, so that the two differ by its scale: the mean variance of classes 0 and 1, summed over channels.
    loss._targets = plain._targets = loss._targets[:1]
    scale = half.layers[0][1][:2].square().mean(0).sum()
    images = features[0][:1], dict(mask=masks[:1])
    torch.testing.assert_close(loss(*images) * scale, plain(*images))


def test_images_count_by_their_share_whatever_their_size():
    """Halves of two images, one of them nine times as large: the mean over the images, not over the pixels."""
    small, large = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 12, 12)
    masks = [torch.full((1, side, side), 255) for side in (4, 12)]
    for mask in masks:
        mask[:, :, :mask.shape[2] // 2] = 0
    statistics = ClassStatistics(1, 0).fit([small], masks[0]).fit([large], masks[1])
    mean, std = statistics.layers[0]
    assert mean.item() == pytest.approx(0.5) and std.item() == pytest.approx((0.25 + EPS)**0.5)
    assert statistics._layers[0][0].item() == pytest.approx(1.0)  # two halves are the mass of one image
