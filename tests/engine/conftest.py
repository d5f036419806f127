"""Runs of the command line tools with tiny random networks.

The libraries are imported once, by a process that forks a child for each run. Each run is a separate process, as for a
user, without the seconds for the imports.
"""
import json
import os
import pprint
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import listen, save_layout_unet

SERVER = '''
import json, os, runpy, sys, traceback
reply = os.fdopen(os.dup(1), 'w')  # the libraries print when they are imported
os.dup2(2, 1)
import matplotlib.pyplot, sklearn.base, sklearn.neighbors, scipy.sparse, torch, diffusers, transformers
import mmengine.runner, mmseg.models, mmseg.datasets, mmseg.evaluation, mmseg.visualization
import sklearn.cluster, mmpretrain.datasets
for line in sys.stdin:
    job = json.loads(line)
    if 'wait' in job:
        print(os.waitstatus_to_exitcode(os.waitpid(job['wait'], 0)[1]), file=reply, flush=True)
        continue
    pid = os.fork()
    if pid:
        print(pid, file=reply, flush=True)
        continue
    for fd, name in ((1, 'stdout'), (2, 'stderr')):
        os.dup2(os.open(job[name], os.O_CREAT | os.O_WRONLY | os.O_TRUNC), fd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(job['env'])
    sys.argv = job['argv']
    code = 0
    try:
        exec(job['before'], {})
        runpy.run_path(sys.argv[0], run_name='__main__')
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
'''


class Tools:
    """``tools(name, *arguments)`` runs a tool to its end; :meth:`start` and :meth:`end` do it in two steps."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder, self.count = root, folder, 0
        env = {**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'}
        self.server = subprocess.Popen([sys.executable, '-c', SERVER], cwd=root, env=env, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       preexec_fn=listen)

    def _ask(self, **job) -> int:
        self.server.stdin.write(json.dumps(job) + '\n')
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def start(self, name, *arguments, before='', **env):
        self.count += 1
        files = {key: str(self.folder / f'{self.count}.{key}') for key in ('stdout', 'stderr')}
        argv = [str(name if isinstance(name, Path) else self.root / 'tools' / f'{name}.py'), *map(str, arguments)]
        return SimpleNamespace(pid=self._ask(argv=argv, before=before, env=env, **files), **files)

    def end(self, job):
        code = self._ask(wait=job.pid)
        return SimpleNamespace(returncode=code, stdout=Path(job.stdout).read_text(),
                               stderr=Path(job.stderr).read_text())

    def __call__(self, name, *arguments, before='', **env):
        return self.end(self.start(name, *arguments, before=before, **env))

    def in_two_processes(self, name, *arguments, before=''):
        """Run a tool to its end as a distributed job; returns the result of each process."""
        env = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(28000 + os.getpid() % 4000))
        jobs = [self.start(name, *arguments, '--launcher', 'pytorch', before=before, RANK=rank, LOCAL_RANK=rank, **env)
                for rank in '01']
        ended = [self.end(job) for job in jobs]
        for done in ended:
            assert done.returncode == 0, done.stderr
        return ended

    def killed(self, *arguments, when, before=''):
        """Run a tool until ``when()``, then kill it."""
        job = self.start(*arguments, before=before)
        while not when():
            time.sleep(0.002)
            os.kill(job.pid, 0)
        os.kill(job.pid, signal.SIGKILL)
        assert self.end(job).returncode == -signal.SIGKILL


@pytest.fixture(scope='session')
def tools(root, tmp_path_factory):
    tools = Tools(root, tmp_path_factory.mktemp('tools'))
    yield tools
    tools.server.stdin.close()
    tools.server.wait()


def guide_model(num_classes):
    """A tiny segmentor of mmseg."""
    norm = dict(type='BN')
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
                               bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(32, 32)),
        backbone=dict(type='UNet', base_channels=4, num_stages=2, strides=(1, 1), enc_num_convs=(1, 1),
                      dec_num_convs=(1, ), downsamples=(True, ), enc_dilations=(1, 1), dec_dilations=(1, ),
                      norm_cfg=norm),
        decode_head=dict(type='FCNHead', in_channels=4, in_index=1, channels=4, num_convs=1, concat_input=False,
                         num_classes=num_classes, norm_cfg=norm),
        train_cfg=dict(), test_cfg=dict(mode='whole'))


def save_guide(folder: Path, num_classes: int) -> dict:
    """The ``segmentor`` of a GuidedSynthesisHook, its random weights in ``folder``."""
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    torch.manual_seed(0)
    model = guide_model(num_classes)
    path = folder / f'guide_{num_classes}.pth'
    torch.save(dict(state_dict=MODELS.build(dict(model, _scope_='mmseg')).state_dict()), path)
    return dict(type='SegmentorGuide', config=model, checkpoint=str(path), layers=['backbone'])


@pytest.fixture(scope='session')
def weights(tmp_path_factory):
    """Folder with random ``unet``, ``vae``, ``scheduler`` of 11 classes."""
    return save_layout_unet(tmp_path_factory.mktemp('weights'), 11)


@pytest.fixture(scope='session')
def class_weights(tmp_path_factory, weights):
    """Folder of a ClassUNet of 3 classes and the autoencoder of the other tests."""
    from mmdistill.generation.unets import ClassUNet
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('class_weights')
    ClassUNet(3, 4, 8, block_out_channels=(16, 32)).save_pretrained(folder / 'unet')
    for part in ('vae', 'scheduler'):
        shutil.copytree(weights / part, folder / part)
    return folder


@pytest.fixture(scope='session')
def guide(tmp_path_factory):
    return save_guide(tmp_path_factory.mktemp('guide'), 11)


def write_config(root: Path, path: Path, dataset: dict, generator: dict, guide: dict, layout='source', budget=6):
    """A config of a distillation with both objectives."""
    keys = dict(
        model=dict(type='Distiller', generator=generator),
        test_dataloader=dict(batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                             dataset=dataset),
        test_cfg=dict(type='DistillLoop', writer=dict(type='SegWriter', layout=layout)),
        test_evaluator=[],
        custom_hooks=[
            dict(type='MaskSelectionHook', selector=dict(type='ClassBalancedGreedy', budget=budget), workers=0),
            dict(type='GuidedSynthesisHook', segmentor=guide, window=(0.25, 1.0), scale=1.0,
                 objectives=[dict(type='SegmentationConsistency'), dict(type='ClassFeatureMatching', weight=0.1)]),
            dict(type='PreviewHook')],
        default_hooks=dict(logger=dict(interval=1), checkpoint=None))
    lines = [f'_base_ = {str(root / "configs/_base_/default_runtime.py")!r}']
    lines += [f'{key} = {pprint.pformat(value, sort_dicts=False)}' for key, value in keys.items()]
    path.write_text('\n'.join(lines) + '\n')
    return path


def layout_generator(weights, **settings):
    return dict(dict(type='LayoutUNetGenerator', weights=str(weights), scheduler='DPMSolverMultistepScheduler',
                     image_size=32, num_steps=4, cfg_scale=1.5, micro_batch=2), **settings)


PIPELINE = [dict(type='mmseg.LoadImageFromFile'), dict(type='mmseg.LoadAnnotations'),
            dict(type='mmseg.PackSegInputs')]


@pytest.fixture(scope='session')
def streets(root, weights, guide, tmp_path_factory):
    """A config that distils 6 of 12 built-in scenes of 32 pixels."""
    dataset = dict(type='StreetScenes', num_scenes=12, size=32, pipeline=PIPELINE)
    return write_config(root, tmp_path_factory.mktemp('config') / 'streets.py', dataset, layout_generator(weights),
                        guide)


@pytest.fixture
def town(root, weights, guide, tmp_path):
    """A dataset of 4 images on disk, ``town.data``, and the config that distils 2 of them, ``town.config``."""
    from mmdistill.toy.street_scenes import street_scene
    data = tmp_path / 'data'
    for folder in ('images', 'masks'):
        (data / folder).mkdir(parents=True)
    for index in range(4):
        image, mask = street_scene(index, 'test', 32)
        cv2.imwrite(str(data / 'images' / f'{index}.png'), np.ascontiguousarray(image[..., ::-1]))
        cv2.imwrite(str(data / 'masks' / f'{index}.png'), mask)
    names = 'sky building road pavement vegetation fence pole car sign person cyclist'.split()
    dataset = dict(type='mmseg.BaseSegDataset', data_root=str(data), img_suffix='.png', pipeline=PIPELINE,
                   data_prefix=dict(img_path='images', seg_map_path='masks'),
                   metainfo=dict(classes=names, palette=[[i, i, i] for i in range(11)]))
    config = write_config(root, tmp_path / 'town.py', dataset, layout_generator(weights), guide, budget=2)
    return SimpleNamespace(data=data, config=config, work=tmp_path / 'work')


@pytest.fixture(scope='session')
def tree():
    """``tree(folder)``: the bytes of every file under a folder."""

    def read(folder) -> dict:
        folder = Path(folder)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}

    return read
