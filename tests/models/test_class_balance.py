import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.models.class_balance import ClassBalance

MASK = torch.tensor([[[0, 0, 0, 1], [0, 0, 2, 255]]])


def test_frequencies_are_a_running_mean_over_batches():
    balance = ClassBalance(4, 0.5)
    np.testing.assert_allclose(balance.frequency, [0.25] * 4)
    expected = np.full(4, 0.25)
    for masks, shares in ((MASK, [5 / 7, 1 / 7, 1 / 7, 0]), (torch.full((2, 3, 3), 3), [0, 0, 0, 1])):
        balance.update(masks)
        expected = 0.98 * expected + 0.02 * np.array(shares)
        np.testing.assert_allclose(balance.frequency, expected, rtol=1e-6)


def test_a_batch_without_labels_changes_nothing():
    balance = ClassBalance(3, 0.5)
    balance.update(MASK)
    before = balance.frequency.clone()
    balance.update(torch.full((2, 4, 4), 255))
    assert torch.equal(balance.frequency, before)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 1.0])
def test_weights_are_a_power_of_rarity_and_one_on_average(gamma):
    balance = ClassBalance(3, gamma)
    balance.frequency.copy_(torch.tensor([0.7, 0.2, 0.1]))
    frequency = np.array([0.7, 0.2, 0.1])
    expected = frequency**-gamma / (frequency * frequency**-gamma).sum()
    weights = balance(MASK)
    assert weights.shape == (1, 1, 2, 4)
    np.testing.assert_allclose(weights[0, 0], [[*expected[[0, 0, 0, 1]]], [*expected[[0, 0, 2]], 1]], rtol=1e-6)
    assert (frequency * expected).sum() == pytest.approx(1)
    assert gamma == 0 or expected[2] > expected[1] > expected[0]  # the rare classes weigh most


def test_a_class_that_was_never_seen_has_a_finite_weight():
    balance = ClassBalance(2, 1.0)
    balance.frequency.copy_(torch.tensor([1.0, 0.0]))
    np.testing.assert_allclose(balance(torch.tensor([[[0, 1]]]))[0, 0, 0], [1, 1e5], rtol=1e-5)


@pytest.mark.parametrize('settings, message', [
    (dict(num_classes=0, gamma=0.5), 'ClassBalance: num_classes=0 is out of range'),
    (dict(num_classes=3, gamma=1.5), 'ClassBalance: gamma=1.5 is out of range')])
def test_settings(settings, message):
    with pytest.raises(DistillError, match=message):
        ClassBalance(**settings)
