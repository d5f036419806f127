"""A small classification set, nets of a few parameters, and the trainings that read soft labels."""
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

import mmpretrain.datasets
import mmpretrain.models  # noqa: F401
from mmdistill.registry import MODELS

CLASSES = ('n1', 'n2', 'n3')
PRE = dict(num_classes=3, mean=[120.0, 110.0, 100.0], std=[60.0, 55.0, 50.0], to_rgb=True)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def net():
    """A classifier of mmpretrain; its ConvNet is in the registry of mmpretrain."""
    return dict(
        type='ImageClassifier',
        backbone=dict(type='mmdistill.ConvNet', depth=3),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=128 * 4, init_cfg=None,
                  loss=dict(type='mmdistill.TemperatureKLLoss', temperature=4)))


@pytest.fixture
def world(tmp_path):
    """``root`` with 7 images of 3 classes, none square; ``teacher`` arguments; ``config()`` of a stock training."""
    rng = np.random.default_rng(0)
    for i, name in enumerate(np.resize(CLASSES, 7)):
        path = tmp_path / 'data' / 'train' / name / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24 + 2 * i, 30, 3), dtype=np.uint8)).save(path)
    torch.manual_seed(0)
    model = MODELS.build(dict(net(), data_preprocessor=dict(type='ClsDataPreprocessor', **PRE)))
    for parameter in model.head.parameters():
        parameter.data *= 20  # labels far from uniform
    checkpoint = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=CLASSES))), checkpoint)
    root = tmp_path / 'data'
    pipeline = [dict(type='LoadImageFromFile'),
                dict(type='RandomResizedCrop', scale=16, crop_ratio_range=(0.3, 1.0), backend='pillow'),
                dict(type='RandomFlip', prob=0.5, direction='horizontal'), dict(type='PackInputs')]
    plain = dict(type='ImageNet', data_root=str(root), split='train', classes=CLASSES, pipeline=pipeline)

    def config(**changes) -> Config:
        cfg = Config(dict(
            default_scope='mmpretrain', work_dir=str(tmp_path / 'work'), experiment_name=uuid4().hex,
            log_level='ERROR', randomness=dict(seed=0), model=net(),
            data_preprocessor=dict(type='ClsDataPreprocessor', **PRE,
                                   batch_augments=dict(augments=[dict(type='CutMix', alpha=1.0)])),
            train_dataloader=dict(batch_size=4, num_workers=0, dataset=plain,
                                  sampler=dict(type='DefaultSampler', shuffle=True)),
            train_cfg=dict(by_epoch=True, max_epochs=2), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1))))
        cfg.merge_from_dict(changes)
        return cfg

    return SimpleNamespace(root=root, plain=plain, pipeline=pipeline, config=config, model=model,
                           teacher=dict(config=dict(net(), data_preprocessor=PRE), checkpoint=str(checkpoint)),
                           store=tmp_path / 'store', tmp_path=tmp_path)


@pytest.fixture
def train():
    """``train(cfg)`` trains and gives [(inputs of the network, targets of the loss)] of each step, and the runner."""

    def run(cfg):
        runner, seen, inputs = Runner.from_cfg(cfg), [], []
        runner.model.backbone.register_forward_pre_hook(lambda module, args: inputs.append(args[0].clone()))
        runner.model.head.loss_module.register_forward_pre_hook(
            lambda module, args: seen.append((inputs[-1], args[1].clone())))
        runner.train()
        return seen, runner

    return run
