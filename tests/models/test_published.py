"""Models by the metafiles of the installed packages."""
import re

import pytest

from mmdistill.errors import DistillError
from mmdistill.models.published import published_model

MASK2FORMER = 'mask2former_swin-s_8xb2-160k_ade20k-512x512'


@pytest.mark.parametrize('config', [MASK2FORMER, f'mmseg::mask2former/{MASK2FORMER}.py'])
def test_a_segmentor_by_its_name(config):
    found, weights = published_model(config, None, 'mmseg')
    assert found == f'mmseg::mask2former/{MASK2FORMER}.py'
    assert weights.startswith('https://') and f'/{MASK2FORMER}_2' in weights and weights.endswith('.pth')
    assert published_model(config, 'own.pth', 'mmseg') == (found, 'own.pth')


def test_a_teacher_by_its_name():
    for config in ('resnet18_8xb32_in1k', 'mmpretrain::resnet/resnet18_8xb32_in1k.py'):
        found, weights = published_model(config, None, 'mmpretrain')
        assert found == 'mmpretrain::resnet/resnet18_8xb32_in1k.py' and weights.endswith('-fbbb1da6.pth')


def test_every_shipped_name_is_published(root):
    """Models that the shipped configs name without a checkpoint have a published one."""
    names = {name for file in (root / 'configs').rglob('*.py')
             for name in re.findall(r"config='([\w.-]+_8xb[\w.-]+)'", file.read_text())}
    assert len(names) >= 2
    for name in names:
        scope = 'mmpretrain' if name.endswith('in1k') else 'mmseg'
        assert '://' in published_model(name, None, scope)[1]


@pytest.mark.parametrize('config,message', [
    (MASK2FORMER[:-1], f'is neither a config file nor a model of mmseg.*did you mean {MASK2FORMER}'),
    ('mmseg::mask2former/missing.py', 'no config at'),
    ('./missing.py', 'no config at'),
    (dict(type='EncoderDecoder'), 'mmseg publishes no weights for the given model: give checkpoint'),
    ('mmseg::_base_/models/segformer_mit-b0.py', 'mmseg publishes no weights for mmseg::_base_'),
])
def test_models_without_published_weights(config, message):
    with pytest.raises(DistillError, match=message):
        published_model(config, None, 'mmseg')
