"""``indices`` of the source and of what reads a distilled set, and lists that name a pair twice."""
import json
import re

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdistill.datasets.subsets import check_subsets
from mmdistill.engine.check_data import dataset_errors
from mmdistill.datasets.wrappers import keep_samples
from mmdistill.errors import DistillError
from mmdistill.plan import Plan
from mmdistill.registry import DATASETS

DATASET = 'test_dataloader.dataset'


def changed(town, **dataset):
    """The config with other settings of its dataset."""
    cfg = Config.fromfile(town.config)
    cfg.test_dataloader.dataset.update(dataset)
    cfg.dump(town.config)
    return town.config


def dry_run(tools, town, **dataset):
    done = tools('distill', changed(town, **dataset), '--work-dir', town.work, '--dry-run')
    assert 'Traceback' not in done.stderr, done.stderr[-3000:]
    return done


def refused(tools, town, say, **dataset):
    done = dry_run(tools, town, **dataset)
    assert done.returncode == 1 and re.search(f'^error: {say}$', done.stderr.splitlines()[-1]), done.stderr[-3000:]


def test_indices_of_the_source(tools, town):
    refused(tools, town, rf'{DATASET}\.indices=\[1, 2, 4, 0\]: 4 is out of range, since the dataset has 4 images, '
            r'0\.\.3: correct it, or leave indices out', indices=[1, 2, 4, 0])
    refused(tools, town, rf'{DATASET}\.indices=\[-5\]: -5 is out of range, .*', indices=[-5])
    refused(tools, town, rf'{DATASET}\.indices=\[\] leaves no image: give some, or leave it out', indices=[])
    refused(tools, town, rf'{DATASET}\.indices=0 leaves no image: .*', indices=0)
    done = dry_run(tools, town, indices=[3, 1, -1, 1])  # -1 is 3 once more
    assert ('BaseSegDataset: 2 real images of 4, each counted once; repeated entries left out: 2; remove its '
            'indices from configs that read the distilled set') in done.stdout
    plan = Plan.load(town.work / 'plan.json')
    assert plan.source_size == 2 and [one.source[-5:] for one in sorted(plan.requests, key=lambda one: one.id)] == [
        '3.png', '1.png']


def test_indices_of_a_wrapped_source(tools, town):
    leaf = Config.fromfile(town.config).test_dataloader.dataset.to_dict()
    cfg = Config.fromfile(town.config)
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[leaf, dict(leaf, indices=[0, 9])])
    cfg.dump(town.config)
    refused(tools, town, rf'{DATASET}\.datasets\.1\.indices=\[0, 9\]: 9 is out of range, .*')


def test_a_pair_that_is_listed_twice(tools, town):
    (town.data / 'list.txt').write_text('2\n0\n2\n1\n')
    done = dry_run(tools, town, ann_file='list.txt')
    assert '3 real images of 4, each counted once; repeated entries left out: 1' in done.stdout
    assert Plan.load(town.work / 'plan.json').source_size == 3
    init_default_scope('mmseg')
    cfg = Config.fromfile(town.config).test_dataloader.dataset
    built = DATASETS.build(dict(cfg, pipeline=[]))
    keep_samples(built, [0, 2])  # as the hook does in a stock training: the pair counts once
    assert [built.get_data_info(i)['img_path'][-5:] for i in range(len(built))] == ['2.png', '1.png']


@pytest.fixture
def distilled(tools, town):
    """The data root of a distilled set of 2 images."""
    done = tools('distill', town.config, '--work-dir', town.work)
    assert done.returncode == 0, done.stderr[-3000:]
    return town.work / 'distilled'


def test_indices_that_were_left_in_a_config_of_the_distilled_set(town, distilled, monkeypatch):
    said: list = []
    monkeypatch.setattr('mmdistill.datasets.subsets.print_log', lambda message, *_: said.append(message))
    stock = dict(Config.fromfile(town.config).test_dataloader.dataset, data_root=str(distilled), pipeline=[])
    ours = dict(type='mmdistill.DistilledDataset', data_root=str(distilled), pipeline=[])
    init_default_scope('mmseg')
    out = rf'indices=\[0, 3\]: 3 is out of range, since the distilled set {distilled} has 2 images: if they were meant '
    with pytest.raises(DistillError, match=f'^{out}for the real dataset, leave them out$'):
        DATASETS.build(dict(ours, indices=[0, 3]))
    training = dict(type='RepeatDataset', times=2, dataset=dict(stock, indices=[0, 3]))
    with pytest.raises(DistillError, match=rf'^train_dataloader\.dataset\.dataset\.{out}'):
        check_subsets(training, 'train_dataloader.dataset')
    with pytest.raises(DistillError, match=r'^train\.indices=\[0, 3\]: 3 is out of range, since the dataset has 2 '), \
            dataset_errors('train'):
        DATASETS.build(dict(stock, indices=[0, 3]))
    assert len(DATASETS.build(dict(ours, indices=1))) == 1
    check_subsets(dict(stock, indices=[1]), 'train')
    with pytest.raises(DistillError, match=rf'^train\.indices=7 is out of range, since the distilled set {distilled} '):
        check_subsets(dict(stock, indices=7), 'train')
    check_subsets(dict(stock, data_root=str(town.data), indices=[99]), 'train')  # no distilled set
    assert said == [f'{key}: 1 of the 2 images of the distilled set {distilled} are read; if they were meant for the '
                    'real dataset, leave them out' for key in ('indices', 'train.indices')]


def test_a_training_of_the_distilled_set(tools, root, town, distilled, tmp_path):
    """``mmdistill train`` says it before anything is built."""
    dataset = dict(Config.fromfile(town.config).test_dataloader.dataset, data_root=str(distilled), indices=[2])
    path = tmp_path / 'train.py'
    Config(dict(default_scope='mmseg', model=dict(type='EncoderDecoder'), train_cfg=dict(max_iters=1, by_epoch=False),
                optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
                train_dataloader=dict(batch_size=1, dataset=dataset))).dump(path)
    done = tools('train', path, '--work-dir', tmp_path / 'training')
    assert done.returncode == 1 and done.stderr.startswith(
        'error: train_dataloader.dataset.indices=[2]: 2 is out of range, since the distilled set'), done.stderr
    assert json.loads((distilled / 'meta/distilled.json').read_text())['images']
