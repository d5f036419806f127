"""Checkpoints with everything that trainings store beside the tensors."""
import argparse
import collections
import datetime
import pathlib
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mmdistill.errors import DistillError
from mmdistill.weights.checkpoints import check_checkpoint, load_checkpoint, load_weights


class Callback:
    """Objects as in pickles of other packages: one with a state, and one that is called while it is read."""

    def __init__(self):
        self.best = torch.ones(2)
        self.monitor = 'val'


class Trap:
    def __reduce__(self):
        return print, ('a checkpoint ran code', )


@pytest.fixture(params=[True, False], ids=['zip', 'before torch 1.6'])
def save(request, tmp_path):
    def write(value):
        torch.save(value, tmp_path / 'net.pth', _use_new_zipfile_serialization=request.param)
        return str(tmp_path / 'net.pth')
    return write


def metas():
    from mmengine.config import Config, ConfigDict
    from mmengine.logging import HistoryBuffer
    return dict(
        config_dict=ConfigDict(a=dict(b=[1, 2])), config=Config(dict(a=1)), time=datetime.datetime(2020, 1, 2),
        zone=datetime.timezone.utc, path=pathlib.PurePosixPath('/a/b'), buffer=HistoryBuffer([1., 2.], [1, 1]),
        counts=collections.defaultdict(list, a=[1]), nested=collections.defaultdict(lambda_free_dict, b=dict(c=1)),
        array=np.arange(3.), scalar=np.float64(2.5), strings=np.array(['a', 'b']), queue=collections.deque([1, 2]),
        space=argparse.Namespace(lr=0.1), callback=Callback(), kinds={Callback: 1}, odd={1, 2},
        dtype=np.dtype('int8'))


def lambda_free_dict():
    return {}


@pytest.mark.parametrize('name', list(metas()))
def test_metadata_beside_the_tensors(save, name):
    state = collections.OrderedDict(w=torch.arange(4.), n=torch.tensor(3))
    path = save(dict(meta={name: metas()[name], 'dataset_meta': dict(classes=('a', 'b'))}, state_dict=state))
    loaded = load_checkpoint(path)
    assert loaded['meta']['dataset_meta'] == dict(classes=('a', 'b'))
    assert list(loaded['state_dict']) == ['w', 'n'] and torch.equal(loaded['state_dict']['w'], torch.arange(4.))


def test_names_in_a_dict_of_another_class(save):
    from mmengine.config import ConfigDict
    meta = ConfigDict(dataset_meta=dict(classes=['a', 'b']))
    assert load_checkpoint(save(dict(meta=meta, state_dict={})))['meta']['dataset_meta']['classes'] == ['a', 'b']


def test_a_class_that_is_not_installed(save, monkeypatch):
    module = types.ModuleType('lightning_callbacks')
    module.ModelCheckpoint = type('ModelCheckpoint', (), dict(__module__=module.__name__))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = save({'state_dict': dict(w=torch.ones(1)), 'callbacks': {module.ModelCheckpoint: dict(best=torch.ones(1))},
                 'loops': [module.ModelCheckpoint()]})
    monkeypatch.delitem(sys.modules, module.__name__)
    assert torch.equal(load_weights(path)['w'], torch.ones(1))


def test_nothing_runs(save, capsys):
    assert torch.equal(load_weights(save(dict(state_dict=dict(w=torch.ones(1)), meta=Trap())))['w'], torch.ones(1))
    assert capsys.readouterr().out == ''


def test_files_that_are_not_checkpoints(tmp_path):
    (tmp_path / 'list.pth').write_bytes(b'')
    torch.save([1, 2], tmp_path / 'list.pth')
    (tmp_path / 'text.pth').write_text('<!DOCTYPE html>')
    (tmp_path / 'empty.pth').write_bytes(b'')
    (tmp_path / 'bytes.pkl').write_bytes(pickle.dumps(dict(a=1), protocol=4))
    torch.save(dict(w=torch.ones(9999)), tmp_path / 'whole.pth')
    (tmp_path / 'half.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:9000])
    for name in ('list.pth', 'text.pth', 'empty.pth', 'bytes.pkl', 'half.pth', 'missing.pth', 'missing.safetensors'):
        for read in (load_checkpoint, check_checkpoint):
            with pytest.raises(DistillError, match=name) as raised:
                read(str(tmp_path / name))
            assert '\n' not in str(raised.value) and 'weights_only' not in str(raised.value)
    with pytest.raises(DistillError, match=r'text\.pth \(it is damaged or not a PyTorch checkpoint\): give'):
        load_checkpoint(str(tmp_path / 'text.pth'))


def test_a_checkpoint_is_opened_without_its_values(save, tmp_path):
    check_checkpoint(save(dict(state_dict=dict(w=torch.ones(3)), meta=dict(hook=Callback()))))
    check_checkpoint(save(dict(w=torch.ones(3))))
    for value in (dict(meta=dict(a=1)), dict(state_dict={}), dict(state_dict=dict(a=1)), dict(state_dict=[1])):
        with pytest.raises(DistillError, match=r'net\.pth holds no tensors by name'):
            check_checkpoint(save(value))
    save_file(dict(w=torch.ones(3)), tmp_path / 'net.safetensors')
    check_checkpoint(str(tmp_path / 'net.safetensors'))
    (tmp_path / 'net.safetensors').write_bytes((tmp_path / 'net.safetensors').read_bytes()[:-4])
    with pytest.raises(DistillError, match=r'cannot read weights from .*net\.safetensors'):
        check_checkpoint(str(tmp_path / 'net.safetensors'))


def test_a_url_is_fetched_once(tmp_path, monkeypatch):
    torch.save(dict(w=torch.ones(1)), tmp_path / 'source.pth')
    calls = []

    def download(url, path, digest, **options):
        calls.append((url, digest))
        pathlib.Path(path).write_bytes((tmp_path / 'source.pth').read_bytes())

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    url = 'https://host/a/net_20210831-fbbb1da6.pth'
    for _ in range(2):
        assert torch.equal(load_weights(url)['w'], torch.ones(1))
    assert calls == [(url, 'fbbb1da6')]
