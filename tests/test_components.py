import re

import pytest
from mmengine.registry import Registry

from mmdistill.components import check_component, resolve
from mmdistill.errors import DistillError
from mmdistill.registry import DATASETS, ENCODERS, SELECTORS
from mmdistill.selection import RandomSelector


class Pair:
    """Two settings that have to fit each other."""

    def __init__(self, low: int = 0, high: int = 1) -> None:
        self.low, self.high = low, high

    @classmethod
    def check(cls, settings, where):
        if settings.get('low', 0) > settings.get('high', 1):
            raise DistillError(f'{where}.low={settings["low"]} is above high')


@pytest.fixture
def pairs():
    registry = Registry('pair', scope='mmdistill')
    registry.register_module(module=Pair)
    return registry


@pytest.mark.parametrize('cfg', [
    dict(type='RandomSelector'), dict(type='mmdistill.RandomSelector', random_state=3), dict(type=RandomSelector),
    dict(type='RandomSelector', _scope_='mmdistill', init=[1, 2])])
def test_component_by_name_or_class(cfg):
    assert check_component(cfg, SELECTORS, 'selector', ('budget', )) is RandomSelector


def test_component_of_another_package():
    for cfg in dict(type='mmseg.ADE20KDataset'), dict(type='ADE20KDataset', _scope_='mmseg'):
        assert resolve(cfg, DATASETS, 'train_dataset').__module__ == 'mmseg.datasets.ade'


@pytest.mark.parametrize('cfg, message', [
    (dict(type='RandomSelecter'), "selector.type='RandomSelecter' is unknown in registry 'selector'; did you mean "
                                  'RandomSelector?'),
    (dict(type='mmdistil.RandomSelector'), 'did you mean mmdistill.RandomSelector?'),
    (dict(type='os'), "selector.type='os' is unknown"),
    (dict(type=3), 'selector.type=3 has to be the name of a component, or a class'),
    (dict(tpye='RandomSelector'), "selector: it has no type, but 'tpye': rename it"),
    (dict(), 'selector: it has no type; known: ClassBalancedGreedy'),
    ('RandomSelector', "selector='RandomSelector' has to be a dict with a type"),
    (dict(type='RandomSelector', bugdet=3), 'selector.bugdet: unknown setting of RandomSelector; did you mean budget?'),
    (dict(type='RandomSelector'), 'selector: RandomSelector needs budget'),
])
def test_mistakes(cfg, message):
    with pytest.raises(DistillError, match=re.escape(message)) as error:
        check_component(cfg, SELECTORS, 'selector')
    assert '\n' not in str(error.value)


def test_mistakes_elsewhere():
    with pytest.raises(DistillError, match='did you mean mmseg.ADE20KDataset'):
        check_component(dict(type='mmseg.ADE20KDatase'), DATASETS, 'train_dataset')
    with pytest.raises(DistillError, match="'mmseg.Qqq' is unknown in registry 'dataset'$"):
        check_component(dict(type='mmseg.Qqq'), DATASETS, 'train_dataset')
    with pytest.raises(DistillError, match="encoder.pool='y' has to be a whole number"):
        check_component(dict(type='LatentEncoder', vae='x', image_size=64, pool='y'), ENCODERS, 'encoder')


def test_a_class_can_check_more_than_its_signature(pairs):
    check_component(dict(type='Pair', high=2), pairs, 'pair')
    with pytest.raises(DistillError, match='pair.low=3 is above high'):
        check_component(dict(type='Pair', low=3), pairs, 'pair')
