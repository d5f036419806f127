"""Metrics of training sets without training, through the config of a comparison."""
import json

import numpy as np
import pytest
from mmengine.config import Config
from safetensors.torch import load_file, save_file

from mmdistill.config import read_config
from mmdistill.datasets import DatasetMasks
from mmdistill.evaluation import ComparisonRunner
from mmdistill.evaluation.set_report import measure_sets, summary_cells
from mmdistill.models import SegmentorGuide
from mmdistill.toy.streets import StreetScenes

CONFIG = """
_base_ = ['{root}/configs/_base_/datasets/streets.py']
train_dataset = dict(num_scenes=40)
test_dataset = dict(num_scenes=4)
protocol = 'mmdistill::students/unet_streets-64x64.py'
training_sets = dict(
    distilled=dict(data_root='{folder}/distilled'), random_real=dict(selector=dict(type='RandomSelector', budget=8)))
encoder = dict(type='LatentEncoder', vae='mmdistill://streets', image_size=64, crop=False, pool=2)
"""


@pytest.fixture
def cfg(run, root, tmp_path):
    path = tmp_path / 'comparison.py'
    path.write_text(CONFIG.format(root=root, folder=run))
    return Config.fromfile(path)


def test_sets_are_measured_against_the_real_one(cfg, tmp_path):
    comparison = ComparisonRunner(cfg, tmp_path / 'work')
    measured = measure_sets(comparison)
    assert json.loads((tmp_path / 'work/set_metrics.json').read_text()) == measured
    assert set(measured['sets']) == {'distilled', 'random_real'} and 'judge_real' not in measured
    (row, ) = measured['sets']['distilled']['rows']
    assert (row['real_samples'], row['distilled_samples']) == (40, 3)
    assert row['density'] > 0  # the fixture's images are the first three of the real ones
    counts = DatasetMasks(StreetScenes(40, pipeline=[])).histograms(workers=0)
    shares = counts.sum(0) / counts.sum(), counts[:3].sum(0) / counts[:3].sum()
    assert measured['sets']['distilled']['balance']['total_variation'] == pytest.approx(
        np.abs(shares[0] - shares[1]).sum() / 2)
    features = load_file(tmp_path / 'work/features.safetensors')
    assert {name: len(value) for name, value in features.items()} == dict(real=40, distilled=3, random_real=8)
    distances = np.linalg.norm(features['real'][:, None] - features['distilled'][None], axis=2).min(0)
    np.testing.assert_allclose(distances, 0, atol=1e-4)
    header, *lines = summary_cells(measured)
    assert header == ['set', 'transport', 'coverage', 'density', 'diversity', 'frechet', 'class balance (TV)']
    assert [line[0] for line in lines] == ['distilled', 'random_real'] and all(len(li) == len(header) for li in lines)


def test_a_union_is_measured_as_one_set(cfg, tmp_path):
    cfg.training_sets = dict(both=dict(union=['distilled', 'random_real']), **cfg.training_sets)
    measured = measure_sets(ComparisonRunner(cfg, tmp_path / 'work'))
    sets = measured['sets']
    assert sets['both']['rows'][0]['distilled_samples'] == 11
    features = load_file(tmp_path / 'work/features.safetensors')
    assert np.array_equal(features['both'], np.concatenate([features['distilled'], features['random_real']]))
    shares = {name: np.array([*one['balance']['distilled'].values()]) for name, one in sets.items()}
    expected = (3 * shares['distilled'] + 8 * shares['random_real']) / 11  # equal numbers of labels
    np.testing.assert_allclose(shares['both'], expected, atol=1e-12)
    measured['sets']['distilled']['judge'] = dict(mIoU=50.0)
    header, first, second, third = summary_cells(measured)
    assert header[-1] == 'judge mIoU' and (first[-1], second[-1], third[-1]) == ('', '50.0', '')


def test_a_judge_looks_at_every_set_and_at_the_test_set(cfg, root, tmp_path):
    model = read_config('mmdistill::students/unet_streets-64x64.py').model
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    save_file(MODELS.build(dict(model, _scope_='mmseg')).state_dict(), str(tmp_path / 'judge.safetensors'))
    judge = dict(type='SegmentorGuide', config='mmdistill::students/unet_streets-64x64.py',
                 checkpoint=str(tmp_path / 'judge.safetensors'))
    cfg.judge, cfg.encoder = judge, None
    measured = measure_sets(ComparisonRunner(cfg, tmp_path / 'work'))
    json.dumps(measured, allow_nan=False)
    from mmdistill.evaluation.judge import judge_agreement
    network = SegmentorGuide(judge['config'], judge['checkpoint'])
    real = judge_agreement(network, DatasetMasks(StreetScenes(4, split='test', pipeline=[])))
    assert measured['judge_real']['mIoU'] == pytest.approx(real['mIoU'])
    assert measured['sets']['distilled']['rows'] is None
    assert summary_cells(measured)[0] == ['set', 'class balance (TV)', 'judge mIoU']
    assert not (tmp_path / 'work/features.safetensors').exists()


def test_no_metrics_are_computed_without_an_encoder(cfg, tmp_path):
    cfg.encoder = None
    assert measure_sets(ComparisonRunner(cfg, tmp_path / 'work')) is None
    assert not (tmp_path / 'work/set_metrics.json').exists()
