"""mmdistill label: its files, resuming, and one line for a mistake."""
import re
import runpy
import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmdistill.errors import DistillError
from mmdistill.models.published import published_model
from mmdistill.config import merge_options, read_config
from mmdistill.labels import LabelStore, ReplayedViews, Teacher, label
from mmdistill.registry import MODELS

FULL = ['fkd_sre2l_online', 'rded_online', 'rded_nopatch_online', 'fkd_sre2l_replayed', 'fkd_sre2l_images']
TINY = [name.replace('_online', '-tiny_online').replace('l_replayed', 'l-tiny_replayed').replace('l_im', 'l-tiny_im')
        for name in FULL]


@pytest.fixture
def tool(root, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['label.py', *map(str, arguments), '--workers', '0', '--device', 'cpu'])
        runpy.run_path(str(root / 'tools/label.py'), run_name='__main__')

    return run


@pytest.fixture
def config(world):
    cfg = world.config(**{'train_dataloader.dataset': dict(
        _delete_=True, type='mmdistill.ReplayedViews', dataset=world.plain, store=str(world.store), temperature=4),
        'labels': dict(teacher=world.teacher, top_k=2)})
    cfg.dump(str(world.tmp_path / 'config.py'))
    return world.tmp_path / 'config.py'


@torch.no_grad()
def entropy(world):
    """Of the teacher's labels of all views, in another way: by the model, one view at a time."""
    views = ReplayedViews(world.plain, world.store, 4)
    total = 0.0
    for image, epoch in ((image, epoch) for epoch in range(2) for image in range(7)):
        data = world.model.data_preprocessor(dict(inputs=[views.view(image, epoch)['inputs']]))
        scores = (world.model.eval()(data['inputs'])[0] / 4).softmax(0)
        total -= float((scores * scores.log()).sum())
    return total / 14


def test_makes_a_store_and_adds_epochs(world, tool, config, capsys):
    tool(config)
    line = capsys.readouterr().out
    assert 'labels of 14 views (7 images, 2 epochs)' in line
    found, exact = map(float, re.search(r'a loss of (\S+) with them and of (\S+) with all', line).groups())
    assert found == pytest.approx(exact, rel=0.02) and exact == pytest.approx(entropy(world), abs=2e-4)
    before = (world.store / 'labels.bin').read_bytes()
    assert LabelStore(world.store).header['epochs'] == 2
    tool(config)  # nothing to do
    assert (world.store / 'labels.bin').read_bytes() == before
    tool(config, '--batch-size', '3', '--cfg-options', 'train_cfg.max_epochs=3')
    assert 'labels of 21 views (7 images, 3 epochs)' in capsys.readouterr().out
    after = (world.store / 'labels.bin').read_bytes()
    assert after[:len(before)] == before and 2 * len(after) == 3 * len(before)


def test_stopped_and_run_again(world, tool, config, monkeypatch):
    tool(config, '--batch-size', '4')
    whole = {file.name: file.read_bytes() for file in world.store.iterdir() if file.name != 'progress.npz'}
    cfg = Config.fromfile(config)
    cfg.train_dataloader.dataset.store = str(world.tmp_path / 'other')
    calls, forward = [], Teacher.forward

    def stop(self, pixels):
        calls.append(len(pixels))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return forward(self, pixels)

    monkeypatch.setattr(label, '_SAVE_EVERY', 1)
    monkeypatch.setattr(Teacher, 'forward', stop)
    with pytest.raises(KeyboardInterrupt):
        label.label(deepcopy(cfg), 4)
    label.label(cfg, 4)
    assert calls == [4, 4, 4, 4, 2]  # the two that were done are not done again
    for name, data in whole.items():
        assert (world.tmp_path / 'other' / name).read_bytes() == data


@pytest.mark.parametrize('options, message', [
    (['labels=None'], r'has no labels=dict\(teacher'),
    (['labels.teacher=3'], 'labels.teacher=3 has to be a dict'),
    (['labels.teacher.chekpoint=x'], 'labels.teacher.chekpoint: unknown setting of Teacher; did you mean checkpoint'),
    (['labels.teacher.outputs=all'], "labels.teacher.outputs='all' has to be"),
    (['labels.topk=3'], 'labels.topk: unknown setting of Labels; did you mean top_k'),
    (['labels.top_k=0'], 'labels.top_k=0 is out of range'),
    (['labels.temperature=-1'], 'labels.temperature=-1 is out of range'),
    (['train_dataloader.dataset.type=ImageNet'], 'reads no soft labels'),
    (['train_dataloader.dataset.type=ReplayedView'], 'did you mean mmdistill.ReplayedViews'),
    (['train_dataloader.dataset.cut_mix=1'], 'train_dataloader.dataset.cut_mix: unknown .* did you mean cutmix'),
    (['train_dataloader.dataset.cutmix=-1'], 'train_dataloader.dataset.cutmix=-1 is out of range'),
    (['train_dataloader.dataset.dataset.type=ImageNat'], 'train_dataloader.dataset.dataset.type=.* did you mean '
     'mmpretrain.ImageNet'),
    (['train_dataloader.dataset.dataset.splt=train'], r'dataset\.dataset\.splt: unknown .* did you mean split'),
    (['train_cfg=3'], 'train_cfg'),
    (['labels.teacher.outputs=[0,1]'], 'has 2 classes, the set 3'),
    (['train_dataloader.dataset.dataset.classes=[n2,n1,n3]'], 'has the classes in another order'),
    (['train_dataloader.dataset.seed=5'], 'was begun with another augmentation'),
    (['labels.top_k=3'], 'was begun with another top_k'),
])
def test_mistakes_in_one_line(world, tool, config, options, message):
    tool(config)
    before = (world.store / 'labels.bin').read_bytes()
    with pytest.raises(SystemExit, match=f'^error: .*{message}') as caught:
        tool(config, '--cfg-options', *options)
    assert '\n' not in str(caught.value)
    assert (world.store / 'labels.bin').read_bytes() == before and LabelStore(world.store)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('change, message', [
    (lambda pipeline: pipeline.pop(1), r'views of \(3, \d+, \d+\) and .*: end the pipeline with'),
    (lambda pipeline: pipeline.insert(2, dict(type='Normalize', mean=[0, 0, 0], std=[1, 1, 1])),
     'the pipeline normalises the images')])
def test_mistakes_that_a_worker_finds_are_one_line(world, config, workers, change, message):
    cfg = Config.fromfile(config)
    change(cfg.train_dataloader.dataset.dataset.pipeline)
    with pytest.raises(DistillError, match=f'^{message}') as caught:
        label.label(cfg, 4, workers=workers)
    assert '\n' not in str(caught.value)


def test_other_weights_are_another_teacher(world, tool, config):
    tool(config)
    loaded = torch.load(world.teacher['checkpoint'], weights_only=True)
    loaded['state_dict']['head.fc.bias'] += 1
    torch.save(loaded, world.teacher['checkpoint'])
    with pytest.raises(SystemExit, match='begun with another teacher: delete it or choose another store'):
        tool(config)


@pytest.fixture
def imagenette(tmp_path, root, monkeypatch):
    """Three images, and a teacher with random weights."""
    rng, cfg = np.random.default_rng(0), Config.fromfile(root / 'configs/_base_/datasets/imagenette.py')
    for wnid in cfg.classes[:3]:
        (tmp_path / 'train' / wnid).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(tmp_path / 'train' / wnid / '0.JPEG')
    for wnid in cfg.classes[3:]:
        (tmp_path / 'train' / wnid).mkdir()
    monkeypatch.chdir(tmp_path)
    teacher = MODELS.build(read_config('mmdistill::teachers/resnetap18-teacher_imagenette-64px.py').model)
    torch.save(dict(state_dict=teacher.state_dict(), meta=dict(dataset_meta=dict(classes=cfg.classes))), 'teacher.pth')


def test_every_config_is_named_here(root):
    assert {path.stem for path in (root / 'configs/protocols/_labels_').glob('*.py')} == {*FULL, *TINY}


@pytest.mark.parametrize('name', FULL + TINY)
def test_configs_are_their_protocols(root, name):
    cfg = Config.fromfile(root / f'configs/protocols/_labels_/{name}.py')
    protocol = Config.fromfile(root / f'configs/protocols/{name.rpartition("_")[0]}.py')
    changed = {key for key in cfg if cfg[key] != protocol.get(key)}
    assert changed <= {'protocol', 'teacher', 'custom_hooks', 'labels', 'train_dataloader', 'data_preprocessor'}
    checkpoint = published_model(cfg.teacher.config, cfg.teacher.get('checkpoint'), 'mmpretrain')[1]
    assert checkpoint.startswith('https://' if name in FULL else 'work_dirs/') and checkpoint.endswith('.pth')
    teacher = (cfg.custom_hooks[0] if 'online' in name else cfg.labels).teacher
    assert teacher == cfg.teacher and ('outputs' in teacher) == (name in FULL)
    dataset = cfg.train_dataloader.dataset
    assert dataset.get('dataset', dataset).pipeline == protocol.train_pipeline
    assert {**cfg.train_dataloader, 'dataset': 0} == {**protocol.train_dataloader, 'dataset': 0}
    for temperature in (dataset.get('temperature'), cfg.get('labels', {}).get('temperature'),
                        cfg.get('custom_hooks', [{}])[0].get('temperature')):
        assert temperature in (None, cfg.protocol.temperature)


@pytest.mark.parametrize('name', ['rded-tiny_online', 'fkd_sre2l-tiny_replayed', 'fkd_sre2l-tiny_images'])
def test_configs_train(root, name, imagenette, tool, train, tmp_path):
    path = root / f'configs/protocols/_labels_/{name}.py'
    short = dict(val_dataloader=None, val_cfg=None, val_evaluator=None, test_dataloader=None, test_cfg=None,
                 test_evaluator=None, work_dir=str(tmp_path / 'work'), experiment_name=name, log_level='ERROR')
    teacher = 'custom_hooks.OnlineLabelsHook' if 'online' in name else 'labels'
    moved = {'data_root': str(tmp_path), f'{teacher}.teacher.checkpoint': str(tmp_path / 'teacher.pth'),
             'train_cfg.max_epochs': 2}
    cfg = Config.fromfile(path)
    merge_options(cfg, dict(short, **moved, **{'train_dataloader.batch_size': 2, 'default_hooks.checkpoint': None}))
    if 'online' not in name:
        tool(path, '--cfg-options', *(f'{key}={value}' for key, value in moved.items()))
    seen, runner = train(cfg)
    assert len(seen) == runner.iter == 4
    for _, targets in seen:
        assert targets.shape[1] == 10 and (targets.sum(1) - 1).abs().max() < 1e-3 and targets.max() < 0.99
