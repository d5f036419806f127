"""Trainings that are refused, or fail early: one line, and nothing is left or overwritten."""
import pprint
import re

import pytest
import torch
from mmengine.config import Config

from tests.engine.conftest import guide_model

UNFIT = r'error: \S+iter_2\.pth does not fit this training \(({})\): restore the settings with which it was trained, .*'


@pytest.fixture
def training(root, town, tools):
    """``train(*options)`` trains a tiny segmentor of mmseg on the images of ``town`` for 2 iterations."""
    dataset = Config.fromfile(town.config).test_dataloader.dataset.to_dict()
    loader = dict(batch_size=2, num_workers=0, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=False))
    keys = dict(
        model=dict(guide_model(11), _scope_='mmseg'), default_scope='mmdistill', randomness=dict(seed=0),
        find_unused_parameters=False,
        train_dataloader=dict(loader, sampler=dict(type='InfiniteSampler', shuffle=False)), val_dataloader=loader,
        train_cfg=dict(by_epoch=False, max_iters=2, val_interval=2), val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='mmseg.IoUMetric'),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False)),
        custom_hooks=[dict(type='mmengine.EMAHook'), dict(type='mmdistill.ExportHook')])
    config = town.work.parent / 'training.py'
    config.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in keys.items()))

    def train(*options, flags=()):
        done = tools('train', config, '--work-dir', town.work, *flags,
                     *(['--cfg-options', *options] if options else []))
        done.line = (done.stderr.strip().splitlines() or [''])[-1]
        assert 'Traceback' not in done.stderr + done.stdout
        return done

    return train


def test_a_checkpoint_of_another_network_is_not_resumed(training, town, tree):
    assert training().returncode == 0
    before = tree(town.work)
    options = dict.fromkeys(['model.decode_head.channels=8', 'model.decode_head.channels=8 train_cfg.max_iters=4'],
                            r'size mismatch for \S+: copying a param .*')
    options['model.decode_head.num_convs=0'] = r'.*key.* in .*state_dict: \S+?, …|size mismatch .*'
    options['train_cfg.max_iters=4 optim_wrapper.optimizer.type=SGD'] = (
        'it holds the state of another optimizer than SGD, without dampening, momentum')
    for option, reason in options.items():
        for flags in (['--resume'], ['--resume', '--dry-run']):
            done = training(*option.split(), flags=flags)
            assert done.returncode == 1 and re.fullmatch(UNFIT.format(reason), done.line), done.stderr
            assert tree(town.work) == before
    for extra in ('custom_hooks.EMAHook.momentum=0.1', 'model.decode_head.dropout_ratio=0'):  # the tensors still fit
        done = training('train_cfg.max_iters=3', extra, flags=['--resume'])
        assert done.returncode == 0, done.stderr
    assert tree(town.work)['settings.json'] != before['settings.json']


def test_a_pretrained_checkpoint_may_have_another_head(training, town):
    path = town.work.parent / 'start.pth'
    torch.save(dict(state_dict={'decode_head.conv_seg.weight': torch.zeros(3, 4, 1, 1)}), path)
    assert training(f'load_from={path}').returncode == 0


@pytest.mark.parametrize('option, error', [
    ('val_dataloader=None', 'val_cfg: MMEngine also needs val_dataloader: give all three, or set all three to None'),
    ('test_cfg=dict()', 'test_cfg: MMEngine also needs test_dataloader, test_evaluator: give all three, or .*'),
    ('resume=maybe', "resume='maybe' has to be True or False.*"),
    ('load_from=3', 'load_from=3 has to be .*'),
    ('find_unused_parameters=a', "find_unused_parameters='a' has to be .*"),
    ('auto_scale_lr=dict(enable=1.5)', r'auto_scale_lr\.enable=1.5 has to be .*'),
    ('auto_scale_lr=dict(base_batchsize=2)', r'auto_scale_lr\.base_batchsize: .*did you mean base_batch_size\?'),
    ('load_from={data}/images/1.png', r'load_from: cannot read weights from \S+1.png \(.*\): give a checkpoint .*'),
    ('model.decode_head.num_classes=7', r'model\.decode_head\.num_classes=7, but the training set has 11 .*'),
    ('model.decode_head.foo=7', 'model: .*foo.*')])
def test_a_refused_training_leaves_nothing(training, town, option, error):
    for flags in ([], ['--dry-run']):
        done = training(option.format(data=town.data), flags=flags)
        assert done.returncode == 1 and re.fullmatch(f'error: {error}', done.line), done.stderr
        assert not town.work.exists()


@pytest.mark.parametrize('option, error', [
    ('model.decode_head.in_channels=7', r'the first iteration fails \(RuntimeError: .*7 channels.*\): correct model.*'),
    ('val_evaluator.iou_metrics=foo', r"val_evaluator: the metrics cannot be computed \(KeyError: metrics \['foo'\] is "
     r'not supported\): correct val_evaluator'),
    ('train_dataloader.dataset.pipeline=[dict(type="mmseg.LoadImageFromFile"),dict(type="mmseg.Resize",scale=(0,0))]',
     r'train_dataloader: a sample cannot be read \(\S+0\.png: error: OpenCV.*\): correct the file, or train_data.*'),
    ('val_dataloader.dataset.pipeline=[dict(type="mmseg.LoadImageFromFile"),dict(type="mmseg.Resize",scale=(0,0))]',
     r'val_dataloader: a sample cannot be read \(.*\): correct the file, or val_dataloader\.dataset\.pipeline')])
def test_failures_are_found_by_a_dry_run_and_are_one_line_in_a_training(training, town, option, error):
    done = training(option, flags=['--dry-run'])
    assert done.returncode == 1 and re.fullmatch(f'error: {error}', done.line), done.stderr
    assert not town.work.exists()
    done = training(option)
    found = re.fullmatch(rf'error: {error}; the traceback is in ([^;]+\.log)(; .*)?', done.line)
    assert done.returncode == 1 and found, done.stderr
    assert 'Traceback (most recent call last)' in open(found[1]).read()
    begun = any(town.work.glob('*.pth'))  # validation is after the first iterations
    assert bool(found[2]) == (town.work / 'training.py').exists() == (town.work / 'settings.json').exists() == begun


@pytest.mark.parametrize('workers', [0, 1])
def test_a_file_that_cannot_be_read(training, town, workers):
    (town.data / 'images/2.png').write_bytes(b'')
    done = training(f'train_dataloader.num_workers={workers}')
    place = '' if workers else r'\S+images/2\.png: '
    assert re.fullmatch(rf'error: train_dataloader: a sample cannot be read \({place}.*', done.line), done.stderr
    (town.data / 'images/2.png').unlink()
    done = training(f'train_dataloader.num_workers={workers}', flags=['--dry-run'])
    assert 'Trial: one step on 2 training images' in done.stdout


def test_a_trial_is_left_out(training, town):
    hook = 'custom_hooks=[dict(type="mmpretrain.SimSiamHook",fix_pred_lr=False,lr=0.1)]'
    done = training(hook, flags=['--dry-run'])
    assert 'Trial: none, since SimSiamHook prepares the training' in done.stdout, done.stderr


def test_a_hub_that_cannot_be_reached_leaves_nothing(root, tools, tmp_path):
    done = tools('train', root / 'configs/generators/layout-unet_streets-64x64.py', '--work-dir', tmp_path / 'work',
                 '--cfg-options', 'model.vae=no-such-owner/taesd', HF_HOME=str(tmp_path / 'hub'))
    assert done.returncode == 1 and re.fullmatch(
        r'error: model\.vae: no weights at no-such-owner/taesd: .* the hub cannot be reached .*', done.stderr.strip())
    assert not (tmp_path / 'work').exists()


def test_a_refused_distillation_leaves_no_log(tools, streets, tmp_path):
    for option in ('model.generator.weights=/no/weights', 'test_dataloader.dataset.num_scenes=2'):
        done = tools('distill', streets, '--work-dir', tmp_path / 'work', '--cfg-options', option)
        assert done.returncode == 1 and not (tmp_path / 'work').exists(), done.stderr
