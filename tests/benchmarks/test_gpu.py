"""The benchmark for GPUs runs to its end with tiny networks on a CPU."""
import importlib
import json
import sys

import pytest


@pytest.fixture
def gpu(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / 'benchmarks'))
    yield importlib.import_module('gpu')
    for name in ('gpu', 'hub_layout'):
        sys.modules.pop(name, None)


def test_every_section_on_a_cpu(gpu, tmp_path, capsys):
    gpu.main(['--tiny', '--device', 'cpu', '--out', str(tmp_path / 'gpu.json')])
    result = json.loads((tmp_path / 'gpu.json').read_text())
    assert result['errors'] == {} and result['device'] == 'cpu'
    sections = {row['section'] for row in result['rows']}
    assert sections == {'card', 'dmgd', 'd4m', 'd3s2'}
    for name in ('dmgd', 'd4m', 'd3s2'):
        values = {row['name']: row for row in result['rows'] if row['section'] == name}
        step = next(row for key, row in values.items() if key.startswith('one step'))
        assert 0 < step['value'] < 0.05 and step['met'] and step['goal'] == 'at most 0.05'
        assert values['batch over one at a time']['value'] > 0 and values['of the matrix product']['value'] > 0
        assert ('guided step over the plain step' in values) == (name != 'd4m')
    table = capsys.readouterr().out
    assert '| section | what | value | goal | met |' in table and '| d3s2 |' in table


def test_results_of_other_sections_are_kept(gpu, tmp_path, monkeypatch):
    def broken(args, note):
        note(gpu.Row.of('dmgd', 'before', 1.0))
        raise RuntimeError('CUDA out of memory')

    monkeypatch.setitem(gpu.SECTIONS, 'dmgd', broken)
    monkeypatch.setitem(gpu.SECTIONS, 'd4m', lambda args, note: setattr(args, 'budget', -1.0))
    result = gpu.main(['--tiny', '--device', 'cpu', '--out', str(tmp_path / 'gpu.json')])
    assert result['errors'] == {'dmgd': 'RuntimeError: CUDA out of memory', 'd3s2': 'not reached within -1 s'}
    assert [row.name for row in result['rows']][-1] == 'before'
    assert json.loads((tmp_path / 'gpu.json').read_text())['errors'].keys() == {'dmgd'}


def test_goals(gpu):
    assert gpu.Row.of('a', 'b', 5, least=4).met and not gpu.Row.of('a', 'b', 5, most=4).met
    assert gpu.Row.of('a', 'b', 5).met is None
