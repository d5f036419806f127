"""MaskSelectionHook inside a stock mmseg training config whose training set is wrapped."""
import json
import pprint
import re
from pathlib import Path
from types import SimpleNamespace

import mmpretrain
import mmseg
import pytest
from mmengine.runner import EpochBasedTrainLoop

from mmdistill.engine import MaskSelectionHook
from mmdistill.errors import DistillError
from mmdistill.toy.objects import ObjectPictures
from mmdistill.toy.streets import StreetScenes
from tests.datasets.conftest import write_pairs

TRAIN = '''
import json, sys
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

class Record(Hook):
    def __init__(self):
        self.rows = []
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rows.append([float(outputs['loss']), [s.img_path[-6:-4] for s in data_batch['data_samples']]])

runner, record = Runner.from_cfg(Config.fromfile(sys.argv[1])), Record()
runner.register_hook(record)
runner.train()
print('RESULT' + json.dumps(dict(rows=record.rows, length=len(runner.train_dataloader.dataset))))
'''
HOOK = dict(type='mmdistill.MaskSelectionHook', workers=0, selector=dict(type='ClassBalancedGreedy', budget=3))
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
PACK = [dict(type='PackSegInputs')]


@pytest.fixture
def train(tools, guide, tmp_path):
    """``train(name, dataset, by_epoch, hooks)``: losses and images of each iteration of a training."""
    script = tmp_path / 'train.py'
    script.write_text(TRAIN)

    def run(name, dataset, by_epoch, hooks=()):
        config = dict(
            default_scope='mmseg', work_dir=str(tmp_path / name), model=guide['config'], randomness=dict(seed=0),
            train_cfg=dict(by_epoch=True, max_epochs=2) if by_epoch else dict(type='IterBasedTrainLoop', max_iters=4),
            train_dataloader=dict(batch_size=2, num_workers=0, dataset=dataset, sampler=dict(
                type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=True)),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)), custom_hooks=list(hooks))
        path = tmp_path / f'{name}.py'
        path.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in config.items()))
        done = tools(script, path)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.rpartition('RESULT')[2]), log=done.stdout + done.stderr)

    return run


@pytest.fixture
def leaf(tmp_path):
    """``leaf(name, indices)``: the config of one of three datasets; only the second has more than one class."""
    write_pairs(tmp_path / 'a', dict(a0=0, a1=0, a2=0), size=32)
    write_pairs(tmp_path / 'b', dict(b0=1, b1=0, b2=2, b3=0), size=32)
    write_pairs(tmp_path / 'c', dict(c0=0, c1=0), size=32)
    meta = dict(classes=[f'class{i}' for i in range(11)], palette=[[i, i, i] for i in range(11)])

    def config(name, indices=None, pipeline=LOAD + PACK):
        limit = {} if indices is None else dict(indices=indices)
        return dict(type='BaseSegDataset', data_root=str(tmp_path / name), img_suffix='.png', metainfo=meta,
                    data_prefix=dict(img_path='images', seg_map_path='masks'), pipeline=pipeline, **limit)

    return config


def repeat(dataset, times=2):
    return dict(type='RepeatDataset', times=times, dataset=dataset)


def concat(*datasets):
    return dict(type='ConcatDataset', datasets=list(datasets))


def mix(*datasets):
    return dict(type='MultiImageMixDataset', dataset=concat(*datasets), pipeline=[
        dict(type='RandomMosaic', prob=1, img_scale=(32, 32)), dict(type='Resize', scale=(32, 32)), *PACK])


# The wrapped dataset, and by hand what its selection leaves: indices that the greedy selector takes.
CASES = dict(
    repeat=lambda leaf, chosen: repeat(leaf('b', chosen.get('b')), times=5),
    concat=lambda leaf, chosen: concat(*(leaf(name, chosen.get(name)) for name in 'abc' if name in chosen)),
    nested=lambda leaf, chosen: repeat(concat(*(repeat(leaf(name, chosen.get(name))) for name in 'abc'
                                                if name in chosen))),
    mix=lambda leaf, chosen: mix(*(leaf(name, chosen.get(name), LOAD) for name in 'abc' if name in chosen)))
SELECTED = dict(repeat=dict(b=[0, 1, 2]), concat=dict(a=[0], b=[0, 2]))


@pytest.mark.parametrize('kind, by_epoch', [('repeat', False), ('repeat', True), ('concat', True), ('nested', True),
                                            ('mix', False)])
def test_it_trains_as_with_the_indices_in_the_configs(train, leaf, kind, by_epoch):
    """The same images in the same order, the same losses; a dataset without selected samples is left out."""
    ours = train('hook', CASES[kind](leaf, dict.fromkeys('abc')), by_epoch, [HOOK])
    names = re.search(r'Selected 3 of (\d)', ours['log'])
    assert names and int(names[1]) == (4 if kind == 'repeat' else 9)
    chosen = SELECTED['repeat' if kind == 'repeat' else 'concat']
    theirs = train('indices', CASES[kind](leaf, chosen), by_epoch)
    assert (ours['rows'], ours['length']) == (theirs['rows'], theirs['length'])
    seen = {name for _, batch in ours['rows'] for name in batch}
    assert seen <= {f'{name}{i}' for name, indices in chosen.items() for i in indices}
    wrapped = 'RepeatDataset|ConcatDataset|MultiImageMixDataset'
    assert re.search(rf'train_dataloader\.dataset: ({wrapped}) of .* real images.*, each counted once', ours['log'])
    for text in ('Failed to search registry', 'may cause unexpected failure', 'Traceback'):
        assert text not in ours['log']


@pytest.mark.parametrize('make, say', [
    (lambda leaf: Odd(leaf), r'train_dataloader\.dataset: Odd belongs to no known task: use a dataset derived from'),
    (lambda leaf: ObjectPictures(num_images=20, pipeline=[]),
     r'MaskSelectionHook selects masks, but train_dataloader\.dataset is for classification: leave the hook out')])
def test_a_training_set_without_masks(make, say):
    """An unknown wrapper, or another task."""
    dataset = make(StreetScenes(num_scenes=2, size=32, pipeline=[]))
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop.dataloader = SimpleNamespace(dataset=dataset)
    hook = MaskSelectionHook(selector=dict(type='RandomSelector', budget=1))
    with pytest.raises(DistillError, match=say):
        hook.before_run(SimpleNamespace(_train_loop=loop, train_loop=loop, iter=0))


class Odd:
    """An unknown wrapper of a dataset."""

    def __init__(self, dataset):
        self.dataset, self.metainfo = dataset, dataset.metainfo

    def full_init(self):
        pass

    def __len__(self):
        return 3


def test_the_train_script_of_mmseg(tools, guide, leaf, tmp_path):
    """mmseg's tools/train.py with the hook prints no warnings about registries."""
    config = dict(
        default_scope='mmseg', work_dir=str(tmp_path / 'work'), model=guide['config'], randomness=dict(seed=0),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=1), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        train_dataloader=dict(batch_size=2, num_workers=0, dataset=repeat(leaf('b'), times=40000),
                              sampler=dict(type='InfiniteSampler', shuffle=True)), custom_hooks=[HOOK])
    path = tmp_path / 'train.py'
    path.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in config.items()))
    done = tools(Path(mmseg.__file__).parent / '.mim/tools/train.py', path)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert 'RepeatDataset of BaseSegDataset: 4 real images, each counted once' in said and 'Selected 3 of 4' in said
    assert 'Failed to search registry' not in said and 'unexpected failure' not in said


def test_the_command_of_mmpretrain(tools, tmp_path):
    """The same with a dataset and a network of mmdistill in a stock training of mmpretrain."""
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    pictures = dict(type='mmdistill.ObjectPictures', num_images=20, size=32, pipeline=pipeline)
    config = dict(
        default_scope='mmpretrain', work_dir=str(tmp_path / 'work'), randomness=dict(seed=0),
        model=dict(type='ImageClassifier', backbone=dict(type='mmdistill.ConvNet', depth=3), head=dict(
            type='LinearClsHead', num_classes=20, in_channels=2048)),
        data_preprocessor=dict(type='ClsDataPreprocessor', num_classes=20, mean=[127] * 3, std=[60] * 3),
        train_cfg=dict(by_epoch=True, max_epochs=1), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        train_dataloader=dict(batch_size=4, num_workers=0, persistent_workers=False,
                              sampler=dict(type='DefaultSampler', shuffle=True), dataset=dict(
                                  type='mmdistill.UnionDataset',
                                  datasets=[repeat(dict(pictures, indices=2)), pictures])))
    path = tmp_path / 'train.py'
    path.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in config.items()))
    done = tools(Path(mmpretrain.__file__).parent / '.mim/tools/train.py', path)
    assert done.returncode == 0, done.stderr
    assert 'Failed to search registry' not in done.stdout + done.stderr
