"""--cfg-options: dicts in Python; everything else is read as OpenMMLab's tools read it."""
import argparse

import pytest
from mmengine.config import DictAction

from mmdistill.cli import main
from mmdistill.errors import DistillError
from mmdistill.options import read_options


@pytest.mark.parametrize('text, value', [
    ('dict(train_cfg=dict(max_iters=300), a=-1.5)', dict(train_cfg=dict(max_iters=300), a=-1.5)),
    ("{'train_cfg.max_iters': 3, 'b': {'c': None}}", {'train_cfg.max_iters': 3, 'b': dict(c=None)}),
    ("[dict(type='PreviewHook', sizes=(1, 2)), dict(type='X', on=True)]",
     [dict(type='PreviewHook', sizes=(1, 2)), dict(type='X', on=True)]), ('dict()', {})])
def test_dicts(text, value):
    assert read_options([f'overrides={text}', 'a.b=2']) == {'overrides': value, 'a.b': 2}


@pytest.mark.parametrize('text', ['{}', 'a {}, photo', '{thing}', '1,2', '[1,2]', '(a,b)', 'None',
                                  'true', '1e-3', "'x'", 'dict', 'a=b', '{:s}'])
def test_other_values(text):
    options = argparse.Namespace(found=None)
    DictAction([], 'found')(argparse.ArgumentParser(), options, [f'a.b={text}'])
    assert read_options([f'a.b={text}']) == options.found


@pytest.mark.parametrize('text', ['dict(a=text)', '{a:1}', 'dict(1)', 'dict(**a)', "dict(a=open('x'))", "{'a': b}"])
def test_what_is_no_dict(text):
    with pytest.raises(DistillError, match='the value is no dict of Python, .* or set overrides.a=1$'):
        read_options([f'overrides={text}'])


def test_brackets():
    with pytest.raises(DistillError, match='--cfg-options: Imbalanced brackets'):
        read_options(['a=[(1,2]'])


def test_overrides_of_a_comparison(tmp_path, capsys):
    """One dict and dotted keys are the same; the dry run shows the length of the training."""
    found = set()
    for option in ('overrides.train_cfg.max_iters=7', 'overrides=dict(train_cfg=dict(max_iters=7))',
                   "overrides={'train_cfg.max_iters': 7}"):
        main(['evaluate', 'mmdistill::evaluation/unet_1p_streets-64x64.py', '--work-dir', str(tmp_path / 'work'),
              '--dry-run', '--cfg-options', 'training_sets.distilled=None', 'training_sets.selected_real=None',
              'train_dataset.num_scenes=9', 'test_dataset.num_scenes=4', 'budget=3', option])
        found.add(capsys.readouterr().out)
    text, = found
    assert '; 7 iterations of batch size' in text


@pytest.mark.parametrize('text, value', [
    ('a=my data/new train', 'my data/new train'), ("a='my data'", 'my data'), ('a=[1, 2]', [1, 2]),
    ("a=['my data', 'b']", ['my data', 'b']), ('a=x, y', ['x', 'y']), ('a=(my, data)', ('my', 'data')),
    ('a= 3', 3), ('a=photos (new)', 'photos (new)'), ('a=a photo of {}', 'a photo of {}')])
def test_spaces_in_a_text_are_kept(text, value):
    """MMEngine's ``DictAction`` removes them."""
    assert read_options([text]) == {'a': value}
