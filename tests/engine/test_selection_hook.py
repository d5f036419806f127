"""MaskSelectionHook inside a stock mmseg training config."""
import json
import pprint
import re
from types import SimpleNamespace

import pytest
from mmengine.runner.base_loop import BaseLoop

TRAIN = '''
import json, sys
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

class Record(Hook):
    def __init__(self):
        self.rows = []
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        info = runner.message_hub.runtime_info
        self.rows.append([runner.optim_wrapper.get_lr()['lr'][0], float(outputs['loss']), info['max_iters']])

runner, record = Runner.from_cfg(Config.fromfile(sys.argv[1])), Record()
runner.register_hook(record)
runner.train()
dataset = runner.train_dataloader.dataset
scenes = sorted(int(dataset.get_data_info(i)['img_path'][-10:-4]) for i in range(len(dataset)))
count = runner.optim_wrapper._max_counts
print('RESULT' + json.dumps(dict(rows=record.rows, scenes=scenes, iterations=[runner.iter, runner.max_iters, count])))
'''
HOOK = [dict(type='mmdistill.MaskSelectionHook', workers=0, selector=dict(type='ClassBalancedGreedy', budget=4))]


@pytest.fixture
def train(tools, guide, tmp_path):
    """Trains a stock config of 12 scenes: learning rate, loss and known length at each iteration."""
    script = tmp_path / 'train.py'
    script.write_text(TRAIN)

    def run(name, by_epoch=True, hooks=(), loader=None, fails=False, **keys):
        pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
        sampler = dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=True)
        loader = dict(loader or {})
        dataset = dict(type='mmdistill.StreetScenes', num_scenes=12, size=32, pipeline=pipeline,
                       **loader.pop('dataset', {}))
        poly = dict(type='PolyLR', eta_min=0, power=0.9, begin=1)
        converted = dict(by_epoch=True, convert_to_iter_based=True, end=3) if by_epoch else dict(by_epoch=False)
        config = dict(
            default_scope='mmseg', work_dir=str(tmp_path / name), model=guide['config'], randomness=dict(seed=0),
            train_cfg=dict(by_epoch=True, max_epochs=3) if by_epoch else dict(type='IterBasedTrainLoop', max_iters=5),
            train_dataloader=dict(dict(batch_size=2, num_workers=0, sampler=sampler), **loader, dataset=dataset),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            param_scheduler=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=1), dict(poly, **converted)],
            custom_hooks=list(hooks), **keys)
        path = tmp_path / f'{name}.py'
        path.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in config.items()))
        done = tools(script, path)
        if fails:
            return done
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.rpartition('RESULT')[2])
        return dict(result, stdout=done.stdout)

    return run


@pytest.mark.parametrize('by_epoch', [True, False])
def test_it_trains_as_with_the_indices_in_the_config(train, by_epoch):
    """Learning rate and loss of every iteration."""
    scale = dict(auto_scale_lr=dict(enable=True, base_batch_size=4))
    ours = train('hook', by_epoch, HOOK, **scale)
    assert len(ours['scenes']) == 4 and 'Selected 4 of 12' in ours['stdout']
    assert ours['iterations'] == [6, 6, 6] if by_epoch else [5, 5, 5]
    theirs = train('indices', by_epoch, loader=dict(dataset=dict(indices=ours['scenes'])), **scale)
    assert [ours[key] for key in ('rows', 'scenes', 'iterations')] == [
        theirs[key] for key in ('rows', 'scenes', 'iterations')]


def test_it_resumes(train, tmp_path):
    """The learning rates are those without interruption; losses differ only by the random numbers of dropout."""
    checkpoints = dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)))
    whole = train('hook', hooks=HOOK, **checkpoints)
    resume = dict(resume=True, load_from=str(tmp_path / 'hook/epoch_2.pth'), **checkpoints)
    ours = train('resumed', hooks=HOOK, **resume)
    assert [row[0] for row in ours['rows']] == [row[0] for row in whole['rows'][4:]]
    theirs = train('indices', loader=dict(dataset=dict(indices=whole['scenes'])), **resume)
    assert ours['rows'] == theirs['rows'] and ours['iterations'] == theirs['iterations'] == [6, 6, 6]


def test_a_batch_above_the_selection(train):
    done = train('refused', hooks=HOOK, loader=dict(batch_size=5, drop_last=True), fails=True)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        'mmdistill.errors.DistillError: train_dataloader.batch_size=5 is larger than the 4 selected samples (of one '
        'GPU), and drop_last=True drops incomplete batches: lower the batch size, or set drop_last=False')
    assert train('smaller', hooks=HOOK, loader=dict(batch_size=5))['iterations'] == [3, 3, 3]
    # An infinite sampler fills its batches with repeats.
    assert train('infinite', False, HOOK, dict(batch_size=5, drop_last=True))['iterations'] == [5, 5, 5]


def test_only_a_training_is_restricted():
    """``Runner.val`` and ``Runner.test`` call the same hooks, before a training and after it."""
    from mmdistill.engine.training import is_training

    class Loop(BaseLoop):
        def run(self):
            pass

    loop, unbuilt = Loop(None, []), dict(by_epoch=True)
    assert is_training(SimpleNamespace(_train_loop=loop, iter=0))
    for built, iteration in ((unbuilt, 0), (None, 0), (loop, 6)):
        assert not is_training(SimpleNamespace(_train_loop=built, iter=iteration))


@pytest.mark.parametrize('hook, say', [
    (dict(type='mmdistill.MaskSelectionHook', selector=dict(type='RandomSelector', budgt=2)),
     r'custom_hooks\.MaskSelectionHook\.selector\.budgt: unknown setting of RandomSelector; did you mean budget\?'),
    (dict(type='mmdistill.MaskSelectionHok'),
     r"custom_hooks\.MaskSelectionHok\.type='mmdistill\.MaskSelectionHok' is unknown"),
    (dict(type='mmdistill.GuidedSynthesisHook', objectives=[]), 'GuidedSynthesisHook is for distillation and has'),
])
def test_mistakes_in_a_training(tools, guide, tmp_path, hook, say):
    dataset = dict(type='mmdistill.StreetScenes', num_scenes=12, size=32, pipeline=[
        dict(type=name) for name in ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')])
    keys = dict(
        default_scope='mmseg', model=guide['config'], train_cfg=dict(type='IterBasedTrainLoop', max_iters=1),
        train_dataloader=dict(batch_size=2, sampler=dict(type='InfiniteSampler'), dataset=dataset),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)), custom_hooks=[hook])
    config = tmp_path / 'config.py'
    config.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in keys.items()))
    done = tools('train', config, '--work-dir', tmp_path / 'work')
    assert done.returncode == 1 and re.search(f'^error: .*{say}', done.stderr.splitlines()[-1]), done.stderr
