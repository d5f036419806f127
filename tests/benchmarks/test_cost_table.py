"""The table of costs: every flagship config is estimated from copies of the networks' configs."""
import importlib
import sys

import pytest


@pytest.fixture
def cost(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / 'benchmarks'))
    yield importlib.import_module('cost')
    for name in ('cost', 'hub_layout'):
        sys.modules.pop(name, None)


@pytest.mark.parametrize('name, images, least', [
    ('dmgd/dmgd_dit-xl2_ipc10_imagenette-256px', 100, 2000), ('d4m/d4m_sd15_ipc10_imagenette-512px', 100, 10000)])
def test_a_config_is_counted_without_data_and_weights(cost, root, tmp_path, name, images, least):
    counted, missing, _ = cost.count_config(root / f'configs/{name}.py', tmp_path)
    assert counted.images == images and not missing and counted.total > least
    assert not list(tmp_path.rglob('*.safetensors')) + list(tmp_path.rglob('*.bin'))


def test_the_largest_micro_batch_fits(cost, root, tmp_path):
    config = root / 'configs/d4m/d4m_sd15_ipc10_imagenette-512px.py'
    rows, counted = cost.largest(config, tmp_path, 16)
    assert counted.micro_batch == rows and counted.peak <= 0.9 * 16 - 1
    assert cost.count_config(config, tmp_path, rows + 8)[0].peak > 0.9 * 16 - 1 or rows == 100
    assert cost.largest(config, tmp_path, 3) is None
