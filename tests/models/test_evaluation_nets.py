"""The evaluation nets are the literature's: parameters by closed forms and torchvision, outputs by plain functions."""
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torchvision.models.resnet import BasicBlock, ResNet, resnet18

import mmpretrain.models  # noqa: F401
from mmdistill.errors import DistillError
from mmdistill.models import ConvNet, ResNetAP


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def count(module):
    return sum(p.numel() for p in module.parameters())


def student(root, name):
    return MODELS.build(Config.fromfile(root / f'configs/students/{name}.py').model)


@pytest.mark.parametrize('depth, width', [(1, 128), (3, 128), (6, 128), (4, 32)])
def test_convnet_has_the_closed_forms_parameters(depth, width):
    kernel = 9
    convolutions = (3 * kernel + 1) * width + (depth - 1) * (width * kernel + 1) * width
    net = ConvNet(depth, **({} if width == 128 else dict(width=width)))
    assert count(net) == convolutions + depth * 2 * width


def test_resnet_ap_has_the_parameters_of_torchvisions_resnet():
    """Pooling has none; ResNet-10 is known as 5 418 792 with 1 000 classes, ResNet-18 as 11 689 512."""
    head = 513 * 1000
    assert count(ResNetAP(10)) + head == count(ResNet(BasicBlock, [1, 1, 1, 1])) == 5418792
    assert count(ResNetAP(18)) + head == count(resnet18()) == 11689512
    assert count(ResNetAP(10)) - count(ResNetAP(10, stem='mid')) == 64 * 3 * (49 - 9)
    assert count(ResNetAP(10, stem='small')) == count(ResNetAP(10, stem='mid'))


@pytest.mark.parametrize('name, size, features, parameters', [
    ('convnet6_224px', 224, 1152, 743040 + 10 * 1153),
    ('convnet6_64px', 64, 128, 743040 + 10 * 129),
    ('convnet4_objects-64px', 64, 512, 28896 + 10 * 513),
    ('resnetap10_224px', 224, 512, 4905792 + 10 * 513),
    ('resnetap10_64px', 64, 512, 4905792 - 7680 + 10 * 513),
    ('resnet18-in_224px', 224, 512, 11176512 + 10 * 513),
])
def test_students(root, name, size, features, parameters):
    model = student(root, name)
    assert count(model) == parameters
    with torch.no_grad():
        (before_head, ) = model.extract_feat(torch.rand(1, 3, size, size))
        assert before_head.shape == (1, features)
        assert model(torch.rand(1, 3, size, size)).shape == (1, 10)
    norms = [m for m in model.modules() if isinstance(m, (torch.nn.InstanceNorm2d, torch.nn.GroupNorm))]
    assert norms and all(m.weight is not None and getattr(m, 'running_mean', None) is None for m in norms)
    assert all(m.num_groups == m.num_channels for m in norms if isinstance(m, torch.nn.GroupNorm))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())


@pytest.mark.parametrize('stem, size, expected', [('large', 224, 7), ('large', 256, 8), ('mid', 128, 8),
                                                  ('mid', 96, 6), ('small', 64, 8), ('small', 32, 4)])
def test_resnet_ap_map_size(stem, size, expected):
    with torch.no_grad():
        assert ResNetAP(10, stem)(torch.rand(1, 3, size, size))[0].shape == (1, 512, expected, expected)


def test_convnet_against_plain_functions():
    torch.manual_seed(0)
    net = ConvNet(3).double()
    x = torch.rand(2, 3, 24, 16, dtype=torch.double)
    expected = x
    for conv, norm, _, _ in net.blocks:
        torch.nn.init.normal_(norm.weight)
        expected = F.conv2d(expected, conv.weight, conv.bias, padding=1)
        expected = F.group_norm(expected, 128, norm.weight, norm.bias)  # what the literature calls instance norm
        expected = F.avg_pool2d(expected.relu(), 2)
    torch.testing.assert_close(net(x)[0], expected.flatten(1))


def test_resnet_ap_against_plain_functions():
    """The literature pools after the 1x1 convolution of the shortcut, and after the first ReLU of the block."""
    torch.manual_seed(0)
    net = ResNetAP(10, 'mid').double()
    x = torch.rand(2, 3, 32, 32, dtype=torch.double)

    def norm(x, layer):
        return F.group_norm(x, len(layer.weight), layer.weight, layer.bias)

    expected = F.avg_pool2d(norm(F.conv2d(x, net.stem[0].weight, padding=1), net.stem[1]).relu(), 2)
    for stage, block in enumerate(net.blocks):
        out, short = norm(F.conv2d(expected, block.conv1.weight, padding=1), block.norm1).relu(), expected
        if stage:
            out = F.avg_pool2d(out, 2)
            short = norm(F.avg_pool2d(F.conv2d(short, block.shortcut[1].weight), 2), block.shortcut[2])
        expected = (norm(F.conv2d(out, block.conv2.weight, padding=1), block.norm2) + short).relu()
    torch.testing.assert_close(net(x)[0], expected)


def test_initialisation_is_the_literatures(root):
    """He's by the outputs in ResNetAP and ResNet-18; blocks do not start as the identity; heads are PyTorch's."""
    for name in ('resnetap10_224px', 'resnet18-in_224px'):
        model = student(root, name)
        for parameter in model.parameters():
            torch.nn.init.constant_(parameter, 7)
        model.init_weights()
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                outputs = module.out_channels * module.kernel_size[0]**2
                assert module.weight.std().item() == pytest.approx((2 / outputs)**0.5, rel=0.1)
        assert (model.head.fc.weight == 7).all()
    fresh = student(root, 'resnet18-in_224px')
    fresh.init_weights()
    assert all((m.weight == 1).all() for m in fresh.modules() if isinstance(m, torch.nn.InstanceNorm2d))


def test_mistakes():
    with pytest.raises(DistillError, match='ConvNet: depth=0 is out of range'):
        ConvNet(0)
    with pytest.raises(DistillError, match='ConvNet: width=0 is out of range'):
        ConvNet(4, width=0)
    with pytest.raises(DistillError, match='64 pixels or more, not 32x80'):
        ConvNet(6)(torch.rand(1, 3, 32, 80))
    with pytest.raises(DistillError, match='depth=50 is unknown: set it to 10 or 18'):
        ResNetAP(50)
    with pytest.raises(DistillError, match="stem='tiny' is unknown: set it to 'large' or 'mid' or 'small'"):
        ResNetAP(10, 'tiny')
