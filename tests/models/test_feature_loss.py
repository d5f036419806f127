import numpy as np
import pytest
import torch
from torch import nn

from mmdistill.errors import DistillError
from mmdistill.models.autoencoder import AutoencoderTrainer
from mmdistill.models.feature_loss import FeatureLoss
from mmdistill.registry import MODELS

from .conftest import TINY

BACKBONE = dict(type='mmpretrain.ResNet', depth=18, stem_channels=4, base_channels=4, expansion=1, out_indices=(0, 1),
                strides=(1, 2, 2, 2))


@MODELS.register_module()
class OneMap(nn.Module):
    """A backbone that returns one map: the averages of 2x2 pixels, scaled by a weight that `init_weights` sets."""
    pretrained = True

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(()))

    def init_weights(self):
        nn.init.constant_(self.scale, 3.0)

    def forward(self, images):
        return nn.functional.avg_pool2d(images, 2) * self.scale


def pair(size=32):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(2, 3, size, size, generator=generator) * 2 - 1 for _ in range(2)]


def naive(images, others, mean, std):
    """The loss of `OneMap` in double precision, channel by channel."""
    maps = []
    for batch in (images, others):
        pixels = (batch.double().numpy() + 1) * 127.5
        pixels = (pixels - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1)) * 3
        maps.append(sum(pixels[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)) / 4)
    terms = [np.mean((maps[0][:, c] - maps[1][:, c])**2) / (np.var(maps[1][:, c]) + 1e-4) for c in range(3)]
    return sum(terms) / 3


def test_the_loss_is_relative_to_the_variance_of_each_channel():
    output, target = pair()
    mean, std = (10, 100, 200), (20, 50, 90)
    loss = FeatureLoss(dict(type='OneMap'), weight=0.7, mean=mean, std=std)
    assert float(loss(output, target)) == pytest.approx(0.7 * naive(output, target, mean, std), rel=1e-5)
    assert float(loss(target, target)) == 0
    constant = target.mean((0, 2, 3), keepdim=True).expand_as(target)
    assert float(loss(constant, target)) == pytest.approx(0.7, rel=1e-3)


def test_half_the_size():
    output, target = pair()
    small = [nn.functional.interpolate(one, (16, 16), mode='bilinear', antialias=True) for one in (output, target)]
    half, full = FeatureLoss(dict(type='OneMap'), scale=0.5), FeatureLoss(dict(type='OneMap'))
    assert float(half(output, target)) == pytest.approx(float(full(*small)), rel=1e-5)
    assert float(half(output, target)) != pytest.approx(float(full(output, target)), rel=1e-2)


def test_the_mean_over_stages_and_who_gets_gradients():
    torch.manual_seed(0)
    loss = FeatureLoss(BACKBONE)
    assert not loss.state_dict() and not [*loss.parameters()]
    output, target = (one.requires_grad_() for one in pair())
    value = loss(output, target)
    parts = []
    for one, other in zip(loss.features(output), loss.features(target)):
        assert one.shape[-1] in (8, 4)
        variance = other.var((0, 2, 3), correction=0) + 1e-4
        parts.append(float(((one - other).square().mean((0, 2, 3)) / variance).mean()))
    assert len(parts) == 2 and float(value) == pytest.approx(sum(parts) / 2, rel=1e-5)
    value.backward()
    assert output.grad.abs().sum() > 0 and target.grad is None
    assert all(one.grad is None and not one.requires_grad for one in loss._frozen[0].parameters())


def test_in_a_training():
    torch.manual_seed(0)
    model = AutoencoderTrainer(TINY, feature_loss=dict(backbone=dict(type='OneMap'), weight=0.5))
    images, _ = pair(16)
    losses = model(images, mode='loss')
    assert set(losses) == {'loss_l1', 'loss_mse', 'loss_features'}
    assert float(losses['loss_features']) == pytest.approx(float(model.feature_loss(model(images), images)), rel=1e-5)
    assert not [name for name in model.state_dict() if 'feature' in name]
    losses['loss_features'].backward()
    assert all(one.grad is not None for one in model.autoencoder.parameters())


@pytest.mark.parametrize('settings, message', [
    (dict(mean=(1, 2)), 'FeatureLoss: mean has 2 values: give one for each of R, G, B'),
    (dict(std=(1, 2, 0)), 'FeatureLoss: std'),
    (dict(scale=0), 'FeatureLoss: scale=0 is out of range'),
    (dict(weight=-1), 'FeatureLoss: weight=-1 is out of range')])
def test_settings(settings, message):
    with pytest.raises(DistillError, match=message):
        FeatureLoss(dict(type='OneMap'), **settings)


def test_misspelt_settings():
    with pytest.raises(DistillError, match='AutoencoderTrainer: feature_loss.wieght: .* did you mean weight'):
        AutoencoderTrainer(TINY, feature_loss=dict(backbone=dict(type='OneMap'), wieght=1))


def test_too_few_positions_for_a_variance():
    loss = FeatureLoss(dict(type='OneMap'))
    with pytest.raises(DistillError, match='output 1 of the backbone has 1x1 positions, at least 4 are needed'):
        loss(*pair(2))
    assert float(loss(*pair(4))) > 0
    with pytest.raises(DistillError, match='feature_loss.scale=0.01 leaves nothing of images of 32x32 pixels'):
        FeatureLoss(dict(type='OneMap'), scale=0.01)(*pair())


def test_random_weights_are_named(caplog):
    FeatureLoss(BACKBONE)
    FeatureLoss(dict(type='OneMap'))
    warning, = (record.getMessage() for record in caplog.records if record.name == 'mmdistill')
    assert warning.startswith('feature_loss.backbone: ResNet has random weights')
    assert "init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')" in warning


@pytest.mark.parametrize('backbone, message', [
    (dict(type='mmpretrain.ResNet', depth=18, wrong=1), "feature_loss.backbone: .*'wrong'"),
    (dict(type='mmpretrain.ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint='/no/weights.pth')),
     'feature_loss.backbone: .*/no/weights.pth'),
    (dict(type='ResNetX'), 'feature_loss.backbone: ResNetX is not in')])
def test_backbones_that_cannot_be_built(backbone, message):
    with pytest.raises(DistillError, match=message):
        FeatureLoss(backbone)


def test_a_full_memory_is_no_mistake_of_the_backbone(monkeypatch):
    monkeypatch.setattr(OneMap, 'init_weights', lambda self: torch.empty(1 << 55, dtype=torch.uint8), raising=False)
    with pytest.raises(RuntimeError, match='DefaultCPUAllocator'):
        FeatureLoss(dict(type='OneMap'))


def test_a_backbone_without_maps():
    loss = FeatureLoss(dict(type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=32, patch_size=16))
    with pytest.raises(DistillError, match='VisionTransformer returns no feature maps'):
        loss(*pair())
