"""What is said when a run fails."""
from types import SimpleNamespace

import pytest
from mmengine.runner.base_loop import BaseLoop

from mmdistill import stopping
from mmdistill.engine.failures import supervised
from mmdistill.errors import DistillError


class Loop(BaseLoop):
    def __init__(self):
        pass

    def run(self):
        raise DistillError('2.png: id 77')


@pytest.mark.parametrize('begun', [True, False])
def test_a_mistake_in_the_data_says_what_is_kept_of_the_training(tmp_path, monkeypatch, begun):
    monkeypatch.setattr(stopping.current, 'kept', lambda: 'the last checkpoint is iter_20.pth')
    loop = Loop()
    with pytest.raises(DistillError) as raised, supervised(tmp_path) as runners:
        runners.append(SimpleNamespace(begun=begun, _train_loop=loop, _val_loop=None, rank=0))
        loop.run()
    assert str(raised.value) == '2.png: id 77' + '; the last checkpoint is iter_20.pth' * begun


def test_other_mistakes_are_left_alone(tmp_path):
    with pytest.raises(DistillError, match='^no such key$'), supervised(tmp_path) as runners:
        runners.append(SimpleNamespace(begun=True, _train_loop=Loop(), _val_loop=None, rank=0))
        raise DistillError('no such key')
