"""mmdistill train fine-tunes the decoder of a generator's autoencoder, and mmdistill distill generates with it."""
import json

import cv2
import numpy as np
import pytest
import torch

from mmdistill.cli import main
from mmdistill.generation.autoencoders import load_vae

CONFIG = """
_base_ = ['mmdistill::_base_/schedules/generator.py', 'mmdistill::_base_/datasets/streets.py']
crop = [*_base_.load_pipeline[:-1], dict(_scope_='mmseg', type='RandomCrop', crop_size=(64, 64)),
        _base_.load_pipeline[-1]]
model = dict(type='DecoderTrainer', vae='mmdistill://streets', feature_loss=dict(
    weight=0.5, backbone=dict(type='mmdistill.EfficientNetLite0', pretrained=False)))
train_dataloader = dict(batch_size=4, dataset=dict(_base_.train_dataset, num_scenes=8, pipeline=crop))
val_dataloader = dict(dataset=dict(_base_.test_dataset, num_scenes=4))
val_evaluator = dict(type='PSNR')
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [_base_.warmup]
train_cfg = dict(max_iters=3, val_interval=3)
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('decoder') / 'decoder.py'
    path.write_text(CONFIG)
    return path


def distilled(folder, *options):
    config = folder / 'run.py'
    folder.mkdir()
    config.write_text("_base_ = 'mmdistill::quickstart/d3s2_streets-64x64.py'\ncustom_hooks = [_base_.selection]\n"
                      "test_cfg = dict(method='unguided')\n")
    main(['distill', str(config), '--work-dir', str(folder / 'work'), '--cfg-options', 'model.generator.num_steps=2',
          'custom_hooks.MaskSelectionHook.selector.budget=2', 'test_dataloader.dataset.num_scenes=20', *options])
    root = folder / 'work/distilled'
    images = [cv2.imread(str(path)) for path in sorted((root / 'images').rglob('*.*'))]
    return images, json.loads((root / 'meta/distilled.json').read_text())


def test_a_fine_tuned_decoder_makes_the_images(config, tmp_path, capsys):
    main(['train', str(config), '--work-dir', str(tmp_path / 'train')])
    assert 'PSNR' in ''.join(path.read_text() for path in (tmp_path / 'train').rglob('*.log'))
    vae = tmp_path / 'train/export'
    before, after = load_vae('mmdistill://streets').state_dict(), load_vae(str(vae)).state_dict()
    assert {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])} == {'decoder'}
    usual, plain = distilled(tmp_path / 'usual')
    tuned, manifest = distilled(tmp_path / 'tuned', f'model.generator.vae={vae}')
    assert len(usual) == len(tuned) == 2
    for one, other in zip(usual, tuned):
        assert 0 < np.abs(one.astype(float) - other).mean() < 30
    assert 'vae' not in plain['weights']['weights']
    assert manifest['weights']['weights']['vae']['id'] == str(vae)


def test_a_dry_run_does_not_ask_the_hub(config, tmp_path, monkeypatch, capsys):
    def connect(*args, **kwargs):
        raise AssertionError('a connection')
    monkeypatch.setattr('huggingface_hub.HfApi.repo_info', connect)
    monkeypatch.setattr('socket.create_connection', connect)
    main(['train', str(config), '--work-dir', str(tmp_path / 'work'), '--dry-run', '--cfg-options',
          'model.vae=no-such-owner/taesd'])
    lines = capsys.readouterr().out
    assert 'Plan: train DecoderTrainer, ' in lines
    assert 'Weights: no-such-owner/taesd is on the hub; it was neither downloaded nor checked' in lines


@pytest.mark.parametrize('option, message', [
    ('model.vae=/no/vae', 'model.vae: no weights at /no/vae'),
    ('model.feature_loss.scal=0.5', 'feature_loss.scal: unknown setting of FeatureLoss; did you mean scale'),
    ('model.feature_loss.backbone.type=EfficientNet', 'feature_loss.backbone: EfficientNet is not in the .* registry'),
    ('model.feature_loss=None model.feature_los=1', "model: got an unexpected keyword argument 'feature_los'")])
def test_mistakes(config, tmp_path, option, message):
    with pytest.raises(SystemExit, match=message):
        main(['train', str(config), '--work-dir', str(tmp_path / 'work'), '--cfg-options', *option.split()])
    assert not (tmp_path / 'work/export').exists()
