"""The protocols match their publications, and their tiny variants train in MMEngine's runner."""
import json
import math
from uuid import uuid4

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import Runner
from PIL import Image

import mmpretrain.datasets
import mmpretrain.models  # noqa: F401
from mmdistill.config import merge_options
from mmdistill.evaluation.schedule import set_epochs

CLASSIFICATION = ['idc_hard', 'fkd_sre2l', 'rded', 'rded_nopatch']
TINY = [f'{name}-tiny' for name in CLASSIFICATION]
LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackInputs')
FLIP = dict(type='RandomFlip', prob=0.5, direction='horizontal')
ADAMW = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01), paramwise_cfg=dict(flat_decay_mult=0.0))
KL = dict(type='mmdistill.TemperatureKLLoss', temperature=20)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture(scope='module')
def imagenette(tmp_path_factory, root):
    """Two images per class for training and one for tests, one of them greyscale, none square."""
    folder, rng = tmp_path_factory.mktemp('imagenette'), np.random.default_rng(0)
    for split, count in (('train', 2), ('val', 1)):
        for wnid in Config.fromfile(root / 'configs/_base_/datasets/imagenette.py').classes:
            (folder / split / wnid).mkdir(parents=True)
            for i in range(count):
                shape = (150, 140) if i else (140, 150, 3)
                image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
                image.save(folder / split / wnid / f'{i}.JPEG')
    return folder


@pytest.fixture
def load(root, imagenette):
    def config(name):
        cfg = Config.fromfile(root / f'configs/protocols/{name}.py')
        merge_options(cfg, dict(data_root=str(imagenette)))
        return cfg

    return config


def plain(part):
    """Without the scopes, which are tested with the configs' inheritance."""
    if isinstance(part, dict):
        return {key: plain(value) for key, value in part.items() if key != '_scope_'}
    return type(part)(map(plain, part)) if isinstance(part, (list, tuple)) else part


def by_type(pipeline):
    return {step['type']: {k: v for k, v in step.items() if k != 'type'} for step in pipeline}


def runner_of(cfg, work_dir):
    cfg.update(work_dir=str(work_dir), experiment_name=uuid4().hex, log_level='ERROR', randomness=dict(seed=0))
    cfg.default_hooks.update(checkpoint=None)
    return Runner.from_cfg(cfg)


def test_every_protocol_is_tested_here_and_names_itself(root):
    names = {path.stem for path in (root / 'configs/protocols').glob('*.py')}
    assert names == {*CLASSIFICATION, *TINY, 'idc_hard_adamw', 'mmseg_m2f', 'mmseg_m2f_coco-stuff', 'mmseg_m2f-tiny',
                     'mmseg_pretrained-tiny'}
    for name in names:
        path = root / f'configs/protocols/{name}.py'
        assert Config.fromfile(path).protocol.id == name
        first = path.read_text().partition('\n_base_')[0]
        assert first.startswith(f'# Protocol {name}:') and 'comparable' in first


def test_idc_hard(load):
    cfg = load('idc_hard')
    assert cfg.protocol.labels == 'hard'
    assert cfg.train_dataloader.batch_size == 64
    assert cfg.optim_wrapper == dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4))
    assert cfg.train_cfg.max_epochs == 2000
    assert cfg.param_scheduler == dict(type='MultiStepLR', by_epoch=True, gamma=0.2, milestones=[1333, 1666])
    assert cfg.data_preprocessor.batch_augments == dict(augments=[dict(type='CutMix', alpha=1.0)])  # every batch
    steps = plain(cfg.train_pipeline)
    assert [step['type'] for step in steps] == [
        'LoadImageFromFile', 'ResizeEdge', 'CenterCrop', 'RandomResizedCrop', 'RandomFlip', 'ColorJitter', 'Normalize',
        'Lighting', 'PackInputs']
    assert steps[1]['scale'] == steps[2]['crop_size'] == steps[3]['scale'] == 224
    assert steps[3]['crop_ratio_range'] == (0.5, 1.0)
    assert steps[4] == FLIP
    assert steps[5] == dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4)
    assert steps[7]['alphastd'] == 0.1
    assert plain(cfg.test_pipeline) == [LOAD, dict(type='ResizeEdge', scale=224, edge='short', backend='pillow'),
                                        dict(type='CenterCrop', crop_size=224), PACK]
    assert cfg.model.backbone == dict(type='mmdistill.ResNetAP', depth=10, stem='large')
    assert cfg.model.head.loss == dict(type='CrossEntropyLoss')


def test_idc_hard_adamw_differs_by_the_optimizer_alone(load):
    cfg, base = load('idc_hard_adamw').to_dict(), load('idc_hard').to_dict()
    assert cfg.pop('optim_wrapper') == dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
    for part in cfg, base:
        assert part.pop('protocol').pop('labels') == 'hard'
    base.pop('optim_wrapper')
    assert cfg == base
    built = build_optim_wrapper(MODELS.build(load('idc_hard').model), load('idc_hard_adamw').optim_wrapper).optimizer
    assert {(type(built), group['lr'], group['weight_decay']) for group in built.param_groups} == {
        (torch.optim.AdamW, 1e-3, 0.01)}


@pytest.mark.parametrize('name, crop, shuffled, batch_size, cosines', [
    ('fkd_sre2l', (0.08, 1.0), False, 1024, 1),
    ('rded', (0.5, 1.0), True, 100, 2),
    ('rded_nopatch', (0.5, 1.0), False, 100, 2),
])
def test_soft_label_protocols(load, name, crop, shuffled, batch_size, cosines):
    cfg = load(name)
    assert cfg.protocol.labels == 'soft' and cfg.protocol.temperature == 20
    assert cfg.model.head.loss == KL
    assert cfg.optim_wrapper == ADAMW
    assert cfg.train_cfg.max_epochs == 300 and cfg.train_dataloader.batch_size == batch_size
    assert cfg.param_scheduler == dict(type='CosineAnnealingLR', by_epoch=True, T_max=cosines * 300, begin=0, end=300)
    assert cfg.data_preprocessor.batch_augments == dict(augments=[dict(type='CutMix', alpha=1.0)])
    shuffle = [dict(type='mmdistill.ShufflePatches', factor=2)] if shuffled else []
    assert plain(cfg.train_pipeline) == [
        LOAD, *shuffle, dict(type='RandomResizedCrop', scale=224, crop_ratio_range=crop, backend='pillow'), FLIP, PACK]
    assert plain(cfg.test_pipeline) == [LOAD, dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
                                        dict(type='CenterCrop', crop_size=224), PACK]


def test_no_weight_decay_of_biases_and_norms_with_soft_labels(load):
    cfg = load('rded')
    groups = build_optim_wrapper(MODELS.build(cfg.model), cfg.optim_wrapper).optimizer.param_groups
    decay = {group['params'][0].ndim > 1: group['weight_decay'] for group in groups}
    assert decay == {True: 0.01, False: 0.0}
    assert all((group['weight_decay'] > 0) == (group['params'][0].ndim > 1) for group in groups)


def test_mmseg_m2f_equals_the_config_of_mmseg(root):
    cfg = Config.fromfile(root / 'configs/protocols/mmseg_m2f.py').to_dict()
    expected = Config.fromfile(
        __import__('mmseg').__path__[0] +
        '/.mim/configs/mask2former/mask2former_swin-s_8xb2-160k_ade20k-512x512.py').to_dict()
    assert cfg.pop('protocol')['max_iters'] == cfg['train_cfg']['max_iters'] == 160000
    assert plain(cfg) == expected and cfg['model']['_scope_'] == 'mmseg'
    assert cfg['crop_size'] == (512, 512)


@pytest.mark.parametrize('name', CLASSIFICATION)
def test_tiny_siblings_differ_in_size_alone(load, name):
    full, tiny = load(name), load(f'{name}-tiny')
    for key in ('optim_wrapper', 'data_preprocessor', 'val_evaluator', 'default_hooks'):
        assert tiny[key] == full[key]
    assert tiny.model.head == full.model.head
    assert tiny.protocol.labels == full.protocol.labels
    for key in ('train_pipeline', 'test_pipeline'):
        ours, theirs = by_type(tiny[key]), by_type(full[key])
        assert list(ours) == list(theirs)
        different = {kind for kind in ours if ours[kind] != theirs[kind]}
        assert different <= {'ResizeEdge', 'CenterCrop', 'RandomResizedCrop'}
        for kind in different:
            assert {k: v for k, v in ours[kind].items() if v != theirs[kind][k]}.keys() <= {'scale', 'crop_size'}
    set_epochs(full, tiny.train_cfg.max_epochs)
    assert tiny.param_scheduler == full.param_scheduler
    if 'by_size' in full.protocol:
        for row, tiny_row in zip(full.protocol.by_size, tiny.protocol.by_size, strict=True):
            settings = dict(row[2], epochs=row[2].epochs // 10) if 'epochs' in row[2] else row[2]
            assert (*row[:2], settings) == tuple(tiny_row)


@pytest.mark.parametrize('name', CLASSIFICATION + TINY)
def test_parts_are_built(load, name):
    cfg = load(name)
    for loader, length in ((cfg.train_dataloader, 20), (cfg.test_dataloader, 10)):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == length
        assert dataset.metainfo['classes'] == cfg.classes and dataset.metainfo['label_texts'] == cfg.label_texts
        assert sorted(set(dataset.get_gt_labels().tolist())) == list(range(10))
        for i in (0, 1):
            assert dataset[i]['inputs'].shape == (3, cfg.image_size, cfg.image_size)
    with torch.no_grad():
        assert MODELS.build(cfg.model)(torch.rand(1, 3, cfg.image_size, cfg.image_size)).shape == (1, 10)


@pytest.mark.parametrize('name', TINY)
def test_tiny_ones_train(load, tmp_path, name):
    cfg = load(name)
    set_epochs(cfg, 1)
    cfg.train_dataloader.dataset.indices = cfg.val_dataloader.dataset.indices = 3
    cfg.train_dataloader.batch_size = 2
    runner = runner_of(cfg, tmp_path)
    runner.train()
    assert runner.iter == 2
    assert math.isfinite(runner.message_hub.get_scalar('train/loss').current())
    assert 0 <= runner.message_hub.get_scalar('val/accuracy/top1').current() <= 100


def test_soft_labels_reach_the_loss(load, imagenette, tmp_path):
    """Stock BaseDataset passes gt_score on; CutMix mixes distributions."""
    cfg = load('fkd_sre2l-tiny')
    labels = np.random.default_rng(0).dirichlet(np.ones(10), 2)
    images = [dict(img_path=f'{cfg.classes[i]}/0.JPEG', gt_label=i, gt_score=label.tolist())
              for i, label in enumerate(labels)]
    (tmp_path / 'labels.json').write_text(json.dumps(dict(metainfo=dict(classes=cfg.classes), data_list=images)))
    cfg.train_dataloader.dataset = dict(type='BaseDataset', ann_file=str(tmp_path / 'labels.json'),
                                        data_prefix=str(imagenette / 'train'), pipeline=cfg.train_pipeline)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.train_dataloader.batch_size = 2
    set_epochs(cfg, 1)
    runner, seen = runner_of(cfg, tmp_path), []
    runner.model.head.loss_module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    runner.train()
    (targets, ) = seen
    shares = np.linalg.lstsq(labels.T, targets.double().numpy().T, rcond=None)[0]
    np.testing.assert_allclose(shares.T @ labels, targets, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)
    assert shares.min() > -1e-6


def test_mmseg_m2f_coco_stuff_differs_by_its_classes_alone(root):
    cfg = Config.fromfile(root / 'configs/protocols/mmseg_m2f_coco-stuff.py')
    own = Config.fromfile(root / 'configs/protocols/mmseg_m2f.py')
    assert cfg.train_cfg.max_iters == own.train_cfg.max_iters == 160000
    for key in ('lr', 'weight_decay', 'betas'):
        assert cfg.optim_wrapper.optimizer[key] == own.optim_wrapper.optimizer[key]
    one, other = cfg.param_scheduler[0], own.param_scheduler[0]
    assert (one.type, one.end, one.power, one.begin) == (other.type, other.end, other.power, other.begin)
    assert cfg.model.decode_head.num_classes == 171 and own.model.decode_head.num_classes == 150


def test_mmseg_m2f_tiny_trains(root, tmp_path):
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for file, values, shape in (('images/{}/0.jpg', 256, (36, 48, 3)), ('annotations/{}/0.png', 11, (36, 48))):
            path = tmp_path / file.format(split)
            path.parent.mkdir(parents=True)
            Image.fromarray(rng.integers(0, values, shape, dtype=np.uint8)).save(path)
    cfg = Config.fromfile(root / 'configs/protocols/mmseg_m2f-tiny.py')
    merge_options(cfg, dict(data_root=str(tmp_path)))
    assert cfg.protocol.max_iters == cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == 600
    cfg.train_cfg.max_iters = cfg.train_cfg.val_interval = 1
    cfg.train_dataloader.batch_size = 2
    with DefaultScope.overwrite_default_scope('mmseg'):
        import mmseg.datasets
        import mmseg.models  # noqa: F401
        runner = runner_of(cfg, tmp_path / 'work')
        runner.train()
    assert runner.iter == 1
    assert math.isfinite(runner.message_hub.get_scalar('train/loss').current())


def test_mmseg_pretrained_tiny_differs_from_mmseg_m2f_tiny_by_network_and_class_weights(root):
    cfg, base = (Config.fromfile(root / f'configs/protocols/{name}.py').to_dict()
                 for name in ('mmseg_pretrained-tiny', 'mmseg_m2f-tiny'))
    for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'train_pipeline'):
        assert cfg[key] == base[key]
    assert cfg['protocol']['max_iters'] == cfg['train_cfg']['max_iters'] == 600
    assert cfg['train_dataloader']['batch_size'] == base['train_dataloader']['batch_size'] == 4
    assert cfg['custom_hooks'] == [dict(type='mmdistill.ClassWeightsHook')]
    assert cfg['model']['backbone'] == dict(type='mmdistill.EfficientNetLite0')
    # The images as its ImageNet weights know them: (RGB - 127) / 128.
    assert cfg['model']['data_preprocessor']['bgr_to_rgb'] is True
    assert cfg['model']['data_preprocessor']['mean'] == [127] * 3
    assert cfg['model']['data_preprocessor']['std'] == [128] * 3
