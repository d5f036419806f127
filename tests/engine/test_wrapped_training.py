"""MaskSelectionHook inside a stock mmseg training config whose training set is wrapped."""
import json
import pprint
import re

import pytest

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
    """``train(name, dataset, by_epoch, hooks)``: what a training sees: losses and images of each iteration."""
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
    """The same images in the same order, the same losses; a dataset of which nothing is selected is left out."""
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
