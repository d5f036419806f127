"""The comparison of all methods: each set's config takes its options, each comparison finds its data; none is run."""
import importlib
import json
from pathlib import Path

import pytest

from mmdistill.config import read_config


@pytest.fixture
def methods(root, monkeypatch, tmp_path):
    """``methods(*argv)``: the program's answer, with the configs of its sets and its comparisons in place of runs."""
    monkeypatch.syspath_prepend(str(root / 'benchmarks'))
    monkeypatch.chdir(root)
    monkeypatch.setenv('MMDISTILL_CACHE', str(tmp_path / 'cache'))  # which the program would set otherwise
    monkeypatch.setattr('torch.compile', lambda function: function)
    module, configs, comparisons = importlib.import_module('methods'), [], []

    def run(argv):
        configs.append(read_config(argv[1]))

    class Runner:

        def __init__(self, comparison, folder):
            self.comparison = comparison
            comparisons.append(comparison)

        def run(self, workers):
            return dict(rows=[dict(metric='top1', set=name, mean=1.0, std=0.0, seeds=1, runs=1)
                              for name in self.comparison.training_sets])

    def main(*argv):
        monkeypatch.setattr('sys.argv', ['methods.py', '--work-dir', str(tmp_path), *argv])
        with pytest.raises(SystemExit):
            module.main()
        return configs, comparisons

    monkeypatch.setattr(module, 'command', run)
    monkeypatch.setattr(module, 'distil_all', lambda units, workers: dict(map(module.distil, units)))
    monkeypatch.setattr(module, 'ComparisonRunner', Runner)
    monkeypatch.setattr(module, 'format_value', lambda row: '1.0')
    monkeypatch.setattr(module, 'teacher', lambda args: 'teacher.pth')
    return main


def test_all_methods_on_the_objects(methods, tmp_path, capsys):
    configs, comparisons = methods('--seeds', '1')
    assert len(configs) == 16 and [one.split for one in comparisons] == ['test', 'test']  # hard and soft labels
    assert [one.test_dataset.split for one in comparisons] == ['test', 'test']
    assert list(comparisons[0].training_sets)[:6] == [
        'random_real', 'herding_real', 'unguided plain', 'unguided weights', 'unguided choice', 'unguided both']
    assert len(comparisons[0].training_sets) == 2 + 8 * 4
    assert comparisons[1].overrides == {'custom_hooks.OnlineLabelsHook.teacher.checkpoint': 'teacher.pth'}
    chosen = read_config(str(tmp_path / 'd4m_choice_0/run.py')).custom_hooks
    assert chosen[0].candidates == 5 and chosen[-1].type == 'CandidateChoiceHook'
    assert json.loads((tmp_path / 'd4m_choice_0/seconds.json').read_text()) < 60
    assert '| herding_real' in capsys.readouterr().out


def test_fewer_steps_have_their_own_scale(methods, tmp_path):
    methods('dmgd', 'd4m', '--seeds', '1', '--labels', 'hard', '--variants', 'fast', 'paper')
    fast, paper, plain = (read_config(str(tmp_path / f'{name}_0/run.py')) for name in (
        'dmgd_fast', 'dmgd_paper', 'd4m_fast'))
    assert fast.model.generator.num_steps == 20 and fast.custom_hooks[1].scale == 20
    assert paper.model.generator.num_steps == 50 and paper.custom_hooks[1].scale == 40
    assert plain.model.generator.scheduler == 'DPMSolverMultistepScheduler'


def test_the_settings_on_imagenette(methods, tmp_path):
    data, weights = (str(tmp_path / name) for name in ('data', 'weights'))
    for folder in (data, weights):
        Path(folder).mkdir()
    configs, (comparison, ) = methods('--choose', '--seeds', '1', '--imagenette', data, '--vae', '/vae',
                                      '--generator', weights)
    assert comparison.split == 'val' and comparison.encoder.vae == '/vae'
    assert list(comparison.students) == ['resnetap10']
    assert comparison.val_dataset.data_root == comparison.train_dataset.data_root == data
    assert comparison.val_dataset.split == 'train' and comparison.val_dataset.indices[:2] == [0, 9]
    assert len(configs) == len(comparison.training_sets) == 16
    for cfg in configs:
        assert cfg.test_dataloader.dataset.data_root == data and cfg.model.generator.weights == weights
    paper, sharp = (read_config(str(tmp_path / f'choose/dmgd_{name}_100/run.py')).custom_hooks[1]
                    for name in ('40', 'sharp_plans_20'))
    assert (paper.scale, paper.objectives[0].epsilon, paper.objectives[0].iterations) == (40, 0.1, 5)
    assert (sharp.scale, sharp.objectives[0].epsilon, sharp.objectives[0].iterations) == (20, 0.02, 50)
    chosen = read_config(str(tmp_path / 'choose/s3_latents_100/run.py')).custom_hooks[-1]
    assert chosen.encoder.vae == '/vae'


def test_what_it_does_not_have(methods, capsys):
    methods('dream')
    assert 'dream is none of unguided, d4m' in capsys.readouterr().err
    methods('--imagenette', '/data', '--labels', 'soft')
    assert 'hard labels: --labels hard' in capsys.readouterr().err
    methods('--imagenette', '/no/data')
    assert '--imagenette: no folder /no/data' in capsys.readouterr().err


def test_trainings_of_each_image_set(methods):
    _, (comparison, ) = methods('d4m', '--seeds', '3', '--trainings', '2', '--labels', 'hard', '--variants', 'plain')
    assert (comparison.image_sets, comparison.trainings) == (3, 2)


def test_a_mistake_in_a_set_is_one_line(methods, monkeypatch, tmp_path):
    module = importlib.import_module('methods')

    def fail(argv):
        raise SystemExit('error: other settings')

    monkeypatch.setattr(module, 'command', fail)
    with pytest.raises(RuntimeError, match=r'd4m_0: error: other settings'):
        module.distil((module.OBJECTS['d4m'], {}, None, 0, str(tmp_path / 'd4m_0')))
    assert not (tmp_path / 'd4m_0/seconds.json').exists()
