"""The settings of MMEngine's runner that belong to no component."""
import inspect
from dataclasses import fields

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from mmdistill.config import merge_options, read_config
from mmdistill.engine.check import check_run
from mmdistill.engine.inherited import distillation_config
from mmdistill.engine.runtime import Environment, Processes, Randomness, check_runtime
from mmdistill.engine.training_checks import check_training
from mmdistill.errors import DistillError

WRONG = [
    ({'randomness.sed': 3}, r'randomness\.sed: unknown setting of Randomness; did you mean seed\?'),
    ({'randomness.seed': 'x'}, r"randomness\.seed='x' has to be"),
    ({'randomness.seed': -1}, r'randomness\.seed=-1 is out of range'),
    ({'randomness.deterministic': 2}, r'randomness\.deterministic=2 has to be'),
    ({'env_cfg.cudnn_benchmark': 7}, r'env_cfg\.cudnn_benchmark=7 has to be'),
    ({'env_cfg.cudnn': True}, r'env_cfg\.cudnn: unknown setting of Environment'),
    ({'env_cfg.mp_cfg': 3}, r'env_cfg\.mp_cfg=3 has to be'),
    ({'env_cfg.mp_cfg.foo': 1}, r'env_cfg\.mp_cfg\.foo: unknown setting of Processes'),
    ({'env_cfg.mp_cfg.mp_start_method': 'thread'}, r"env_cfg\.mp_cfg\.mp_start_method='thread' has to be"),
    ({'env_cfg.resource_limit': 'all'}, r"env_cfg\.resource_limit='all' has to be"),
]


@pytest.mark.parametrize('options, say', WRONG, ids=lambda value: next(iter(value)) if isinstance(value, dict) else '')
def test_mistakes(options, say):
    cfg = read_config('mmdistill::quickstart/d3s2_streets-64x64.py')
    merge_options(cfg, options)
    with pytest.raises(DistillError, match=f'^{say}'):
        check_run(cfg)
    training = read_config('mmdistill::generators/autoencoder_streets-64x64.py')
    training.merge_from_dict(options)
    with pytest.raises(DistillError, match=f'^{say}'):
        check_training(training, 'x.py')


def test_a_seed_of_mmengine_has_no_effect_on_a_distillation():
    cfg = read_config('mmdistill::quickstart/d3s2_streets-64x64.py')
    merge_options(cfg, {'randomness.seed': 3})
    with pytest.raises(DistillError, match=r'^randomness\.seed=3 has no effect .*set test_cfg\.seed$'):
        check_run(cfg)
    cfg.train_dataloader = dict(dataset=cfg.test_dataloader.dataset)  # an inherited training, whose seed is its own
    check_run(cfg)
    check_run(distillation_config(cfg))  # as the loop does


@pytest.mark.parametrize('name', ['mmseg::_base_/default_runtime.py', 'mmpretrain::_base_/default_runtime.py'])
def test_the_runtimes_of_the_packages_pass(name):
    check_runtime(read_config(name))
    check_runtime(Config(dict(env_cfg={}, randomness=None)))


def test_the_settings_are_those_of_mmengine():
    assert {field.name for field in fields(Randomness)} == {*inspect.signature(Runner.set_randomness).parameters} - {
        'self'}
    assert {field.name for field in fields(Processes)} == {*inspect.signature(set_multi_processing).parameters} - {
        'distributed'}
    read = inspect.getsource(Runner.setup_env)
    assert all(f"env_cfg.get('{field.name}'" in read for field in fields(Environment))
    assert read.count('env_cfg.get(') == len(fields(Environment))
