"""Variables of a base config that a config changes without effect."""
import pytest

from mmdistill.config import read_config
from mmdistill.config_variables import unused_variables

BASE = '''
data_root, scale, hook = 'data', 0.5, dict(type='A', scale=0.5)
test_dataloader = dict(dataset=dict(data_root=data_root))
custom_hooks = [hook, dict(type='B', scale=scale)]
'''
COPIED = "custom_hooks = [_base_.hook, dict(type='B', scale=0.7)]"


@pytest.mark.parametrize('lines, names', [
    ([], []), ([COPIED], []), (["work_dir = 'here'", 'mine = 3'], []),
    (['hook = dict(scale=0.9)'], ['hook']), (['scale = 0.7'], ['scale']),
    (["data_root = 'mine'"], ['data_root']),
    (["data_root = 'mine'", 'test_dataloader = dict(dataset=dict(data_root=data_root))'], []),
    (['hook = dict(_base_.hook, scale=0.9)', 'custom_hooks = [hook]'], []),
    (['scale = 0.7', COPIED], [])])
def test_variables(tmp_path, lines, names):
    (tmp_path / 'base.py').write_text(BASE)
    path = tmp_path / 'mine.py'
    path.write_text('\n'.join(["_base_ = './base.py'", *lines]))
    found = unused_variables(str(path), read_config(str(path)))
    assert [text.partition(' ')[0] for text in found] == names
    assert all(f'MMEngine copied it in {tmp_path}/base.py, and ' in text for text in found)
    assert unused_variables(str(path), read_config(str(path)), names) == []


def test_the_place_of_the_old_value(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'mine.py').write_text("_base_ = './base.py'\nhook = dict(scale=0.9)")
    text, = unused_variables(str(tmp_path / 'mine.py'), read_config(str(tmp_path / 'mine.py')))
    assert text.endswith('and custom_hooks.A still has the value from there: set that')


def test_stock_configs_inherited_by_package(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py'\n"
                    'model = dict(decode_head=dict(num_classes=3))')
    assert unused_variables(str(path), read_config(str(path))) == []
