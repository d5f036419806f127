"""The weighted loss against loops over images, with every supported loss, and with mmpretrain's CutMix."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS, DefaultScope

import mmpretrain.models  # noqa: F401
from mmdistill.errors import DistillError
from mmdistill.models import TemperatureKLLoss, WeightedLoss
from mmpretrain.models.utils.batch_augments import CutMix, Mixup

LOSSES = dict(
    hard=dict(type='CrossEntropyLoss'), soft=dict(type='CrossEntropyLoss', use_soft=True),
    smooth=dict(type='LabelSmoothLoss', label_smooth_val=0.1),
    teacher=dict(type='mmdistill.TemperatureKLLoss', temperature=3))


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def batch():
    """Logits (6, 4), class ids and weights, one of which is 0."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(6, 4, generator=generator, dtype=torch.double)
    return logits, torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([0.5, 2.0, 0.0, 1.0, 1.5, 0.25]).double()


def single(name, row, target):
    """The loss of one image, in plain Python."""
    scale = LOSSES[name].get('temperature', 1)
    row = [value / scale for value in row]
    log = [value - math.log(sum(map(math.exp, row))) for value in row]
    if name == 'smooth':
        target = [0.9 * share + 0.1 / len(row) for share in target]
    entropy = sum(share * math.log(share) for share in target if share) if name == 'teacher' else 0
    return entropy - sum(share * value for share, value in zip(target, log))


def naive(name, logits, targets, weights):
    losses = [single(name, *pair) for pair in zip(logits.tolist(), targets.tolist())]
    return sum(w * one for w, one in zip(weights.tolist(), losses)) / sum(weights.tolist())


@pytest.mark.parametrize('name', LOSSES)
def test_against_a_loop_over_images(name, batch):
    logits, ids, weights = batch
    targets = F.one_hot(ids, 4).double()
    targets = 0.7 * targets + 0.3 * targets[[3, 0, 1, 2, 5, 4]]
    loss = WeightedLoss(LOSSES[name])(logits, targets * weights[:, None], avg_factor=6)
    assert loss.item() == pytest.approx(naive(name, logits, targets, weights), rel=1e-6)  # smoothed in float32


@pytest.mark.parametrize('name', LOSSES)
def test_equal_weights_are_the_loss_itself(name, batch):
    logits, ids, _ = batch
    targets = F.one_hot(ids, 4).double()
    inner = MODELS.build(LOSSES[name])
    torch.testing.assert_close(WeightedLoss(LOSSES[name])(logits, 2.5 * targets, avg_factor=6),
                               inner(logits, targets, avg_factor=6))
    if name in ('hard', 'smooth'):
        assert WeightedLoss(LOSSES[name])(logits, ids, avg_factor=6) == inner(logits, ids, avg_factor=6)


@pytest.mark.parametrize('mix', [CutMix(alpha=1.0), Mixup(alpha=0.8)])
@pytest.mark.parametrize('name', ['hard', 'soft', 'smooth'])
def test_a_mixed_image_has_the_loss_of_its_parts(name, mix, batch):
    """The sum over the parts of share times weight times loss, over the sum of shares times weights."""
    logits, ids, weights = batch
    np.random.seed(3)
    torch.manual_seed(3)
    pixels = torch.arange(6.0)[:, None, None, None].expand(6, 1, 8, 8).clone()
    mixed, scores = mix(pixels, F.one_hot(ids, 4).double() * weights[:, None])
    torch.manual_seed(3)
    partner = torch.randperm(6)
    moved = next(i for i in range(6) if partner[i] != i)
    share = 1 - ((mixed[moved].mean() - moved) / (partner[moved] - moved)).item()  # of the image itself
    assert 0.05 < share < 0.95
    rows = torch.eye(4).double()[ids]
    parts = [(share * weights[i], rows[i], i) for i in range(6)] + [
        ((1 - share) * weights[partner[i]], rows[partner[i]], i) for i in range(6)]
    expected = sum(w.item() * single(name, logits[i].tolist(), row.tolist()) for w, row, i in parts)
    expected /= sum(w.item() for w, _, _ in parts)
    assert WeightedLoss(LOSSES[name])(logits, scores).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('name', LOSSES)
def test_an_image_of_weight_0_changes_nothing(name, batch):
    logits, ids, weights = batch
    targets = F.one_hot(ids, 4).double() * weights[:, None]
    logits.requires_grad_()
    loss = WeightedLoss(LOSSES[name])(logits, targets)
    loss.backward()
    assert logits.grad.isfinite().all() and not logits.grad[2].any() and logits.grad[[0, 1, 3, 4, 5]].any(1).all()
    kept = weights > 0
    assert loss.item() == pytest.approx(WeightedLoss(LOSSES[name])(logits[kept], targets[kept]).item())
    assert WeightedLoss(LOSSES[name])(logits, 0 * targets).item() == 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize('name', LOSSES)
def test_half_precision(name, dtype):
    """The weights of 128 images are summed in float32, and a batch without weights has the loss 0."""
    generator = torch.Generator().manual_seed(1)
    logits = (3 * torch.randn(128, 4, generator=generator)).to(dtype).requires_grad_()
    targets = F.one_hot(torch.arange(128) % 4, 4).double()
    weights = (2 * torch.rand(128, generator=generator)).double()
    loss = WeightedLoss(LOSSES[name])(logits, (targets * weights[:, None]).float())
    assert loss.item() == pytest.approx(naive(name, logits.double(), targets, weights.float().double()), rel=1e-5)
    nothing = WeightedLoss(LOSSES[name])(logits, 0 * targets.to(dtype))
    nothing.backward()
    assert nothing.item() == 0 and not logits.grad.any()


def test_stock_cross_entropy_applies_weights(batch):
    """Without the wrapper the sum is divided by the number of images."""
    logits, ids, weights = batch
    targets = F.one_hot(ids, 4).double()
    found = MODELS.build(LOSSES['hard'])(logits, targets * weights[:, None], avg_factor=6)
    assert found.item() == pytest.approx(naive('hard', logits, targets, weights) * weights.sum().item() / 6)


def test_through_the_head(batch):
    head = dict(type='LinearClsHead', num_classes=4, in_channels=5, loss=dict(
        type='mmdistill.WeightedLoss', loss=LOSSES['smooth']))
    assert MODELS.build(head).loss_module.loss.label_smooth_val == 0.1


def test_losses_that_cannot_be_weighted(batch):
    logits, ids, weights = batch
    with pytest.raises(DistillError, match='SwAVLoss takes no avg_factor, so it cannot weigh images: use CrossEn'):
        WeightedLoss(dict(type='SwAVLoss', feat_dim=4))
    with pytest.raises(DistillError, match=r"for a set with weights, wrap the loss: dict\(type='mmdistill.Weighted"):
        TemperatureKLLoss(3)(logits, F.one_hot(ids, 4) * weights[:, None])
