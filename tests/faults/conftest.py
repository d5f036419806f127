"""Small runs of the tools, each with its undisturbed result; ``--faults N`` is the number of faults of each kind."""
import json
import pprint
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from tests.engine.conftest import class_weights, guide, streets, tools, tree, weights  # noqa: F401
from tests.engine.test_distill_classes import write_config
from tests.engine.test_training import SHORT
from tests.evaluation.test_comparison_runner import CONFIG, PROTOCOL

SHARES = dict(kill=1.0, disk=0.3, altered=0.6, hostile=0.4)  # of N
CLASSES = ('n1', 'n2', 'n3')
ONE_RUN = """
training_sets['distilled'] = dict(data_root={distilled!r})
image_sets = evaluations = 1
"""


def pytest_generate_tests(metafunc: Any) -> None:
    """``number`` counts the faults of a kind and is the seed of the fault."""
    if 'number' in metafunc.fixturenames:
        kind = metafunc.function.__name__.split('_')[1]
        metafunc.parametrize('number', range(max(1, round(SHARES[kind] * metafunc.config.getoption('--faults')))))


@dataclass
class Job:
    """A run of a tool in a work dir that exists."""
    tool: str
    command: Callable[[Path], List[Any]]  #: Arguments for a work dir.
    product: Callable[[Path], Dict[str, Any]]  #: What it makes, the same in each whole run.
    kept: Callable[[Path], Dict[str, Any]]  #: What is finished and not to be made again: its files and their times.
    again: Tuple[str, ...] = ()  #: Arguments that continue it.
    files: Callable[[Path], Path] = field(default=lambda work: work)  #: Folder of what the tool writes.
    whole: Any = None  #: The product of an undisturbed run.
    seconds: float = 0.0  #: Its time.
    finished: Any = None  #: Its work dir.


def times(work: Path, *patterns: str) -> Dict[str, Any]:
    """Files and their times of change."""
    return {str(path): path.stat().st_mtime_ns for one in patterns for path in work.glob(one)}


def noted(work: Path, folder: str) -> Dict[str, Any]:
    """Images that are in the journal."""
    names = {json.loads(line)[0] for path in work.glob('checksums.*.jsonl') for line in path.read_bytes().splitlines()
             if line.endswith(b']')}
    return {name: time for name, time in times(work, f'distilled/{folder}/**/*.*').items()
            if any(name.rpartition('.')[0].endswith(one) for one in names)}


def export(work: Path) -> Dict[str, Any]:
    """Names and shapes of the weights: their values differ after a restart, because the order of the data does."""
    path, = work.rglob('export/vae/*.safetensors')
    return {name: (value.shape, bool(np.isfinite(value).all())) for name, value in load_file(path).items()}


def results(work: Path) -> Dict[str, Any]:
    """Of a comparison, without the times."""
    return {str((run['set'], run['seed'])): run['metrics'] for run in json.loads(
        (work / 'results.json').read_text())['runs']}


def save_labelled(folder: Path) -> Path:
    """A config that labels 2 epochs of views of 9 pictures with a random teacher; its store is in the work dir."""
    from mmdistill.registry import MODELS
    rng = np.random.default_rng(0)
    for index, name in enumerate(np.resize(CLASSES, 9)):
        path = folder / 'data/train' / name / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(path)
    torch.manual_seed(0)
    net = dict(type='mmpretrain.ImageClassifier', backbone=dict(type='mmdistill.ConvNet', depth=3),
               head=dict(type='mmpretrain.LinearClsHead', num_classes=3, in_channels=128 * 4, init_cfg=None,
                         loss=dict(type='mmdistill.TemperatureKLLoss', temperature=4)))
    before = dict(num_classes=3, mean=[120.0, 110.0, 100.0], std=[60.0, 55.0, 50.0], to_rgb=True)
    import mmpretrain.models  # noqa: F401
    model = MODELS.build(dict(net, data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor', **before)))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=CLASSES))),
               folder / 'teacher.pth')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='RandomResizedCrop', scale=16, backend='pillow'),
                dict(type='PackInputs')]
    plain = dict(type='ImageNet', data_root=str(folder / 'data'), split='train', classes=CLASSES, pipeline=pipeline)
    keys = dict(
        default_scope='mmpretrain', model=net, train_cfg=dict(by_epoch=True, max_epochs=2),
        data_preprocessor=dict(type='ClsDataPreprocessor', **before),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        train_dataloader=dict(batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
                              dataset=dict(type='mmdistill.ReplayedViews', dataset=plain, store='STORE',
                                           temperature=4)),
        labels=dict(teacher=dict(config=dict(net, data_preprocessor=before), checkpoint=str(folder / 'teacher.pth')),
                    top_k=2))
    path = folder / 'label.py'
    path.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in keys.items()) + '\n')
    return path


@pytest.fixture(scope='session')
def jobs(root, tools, streets, class_weights, tree, tmp_path_factory):  # noqa: F811
    """Name → run, with its undisturbed result, which is computed once."""
    folder = tmp_path_factory.mktemp('jobs')
    photos, rng = folder / 'photos', np.random.default_rng(0)
    for index in range(12):
        path = photos / f'train/{CLASSES[index % 3]}/{CLASSES[index % 3]}_{index}.JPEG'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (36, 40, 3), dtype=np.uint8)).save(path)
    generator = dict(type='ClassConditionalGenerator', weights=str(class_weights), strength=0.75, num_steps=4,
                     scheduler='DPMSolverMultistepScheduler', micro_batch=2)
    d4m = write_config(root, folder / 'd4m.py', photos, generator,
                       dict(type='PrototypeHook', ipc=2, batch_size=4, prompt='a photo of a {}'))
    d4m.write_text(d4m.read_text().replace("['n01440764', 'n02102040', 'n02979186']", str(list(CLASSES))))
    label = save_labelled(folder)
    made = dict(
        streets=Job('distill', lambda work: [streets, '--work-dir', work, '--cfg-options',
                                             'test_dataloader.batch_size=1'],
                    lambda work: tree(work / 'distilled'), lambda work: noted(work, 'images'), ('--resume', )),
        objects=Job('distill', lambda work: [d4m, '--work-dir', work, '--cfg-options', 'test_dataloader.batch_size=1'],
                    lambda work: tree(work / 'distilled'), lambda work: noted(work, 'train'), ('--resume', )),
        train=Job('train', lambda work: [
            root / 'configs/generators/autoencoder_streets-64x64.py', '--work-dir', work, '--cfg-options', *SHORT,
            'train_cfg.max_iters=12', 'train_cfg.val_interval=12', 'default_hooks.checkpoint.interval=3'],
            export, lambda work: {}, ('--resume', )),
        evaluate=Job('evaluate', lambda work: [folder / 'comparison.py', '--work-dir', work, '--workers', '2'],
                     results, lambda work: times(work, 'cells/*.json')),
        label=Job('label', lambda work: [
            label, '--workers', '1', '--device', 'cpu', '--batch-size', '2', '--cfg-options',
            f'train_dataloader.dataset.store={work}/store'],
            lambda work: {name: (work / 'store' / name).read_bytes() for name in (
                'labels.bin', 'labels.json', 'tails.npy')},  # what a training reads
            lambda work: {}))
    for name, job in made.items():
        if name == 'evaluate':
            (folder / 'protocol.py').write_text(PROTOCOL.format(root=root, iters=3))
            (folder / 'comparison.py').write_text(CONFIG.format(root=root, folder=folder) + ONE_RUN.format(
                distilled=str(made['streets'].finished / 'distilled')))
        job.finished = folder / name
        job.finished.mkdir()
        start = time.monotonic()
        done = tools(job.tool, *job.command(job.finished))
        job.seconds = time.monotonic() - start
        assert done.returncode == 0, (name, done.stderr[-3000:])
        job.whole = job.product(job.finished)
        assert job.whole
    return made


@pytest.fixture
def case(number, jobs, tmp_path):
    """A run to disturb, by the number of the case: its ``job``, ``work`` dir and random numbers, ``rng``."""
    rng = random.Random(number)
    name = list(jobs)[number % len(jobs)]
    (tmp_path / 'work').mkdir()
    return SimpleNamespace(name=name, job=jobs[name], work=tmp_path / 'work', rng=rng)


@pytest.fixture
def finished(case):
    """The same, with the work dir of a finished run."""
    shutil.rmtree(case.work)
    shutil.copytree(case.job.finished, case.work, symlinks=True)
    return case


def said(done: Any) -> str:
    """The error line of a run that was refused: it is the only one, the last one, and there is no traceback."""
    assert 'Traceback' not in done.stderr + done.stdout, done.stderr + done.stdout
    lines = done.stderr.strip().splitlines() or ['']
    errors = [line for line in lines if line.startswith('error: ')]
    assert done.returncode == 1 and errors == lines[-1:], done.stderr
    return lines[-1]
