"""MaskSelectionHook inside a stock training config of the host."""
import pprint
import re

import pytest


TRAIN = '''
from mmengine.config import Config
from mmengine.runner import Runner
import sys
runner = Runner.from_cfg(Config.fromfile(sys.argv[1]))
runner.train()
dataset = runner.train_dataloader.dataset
print('SCENES', sorted(dataset.get_data_info(i)['img_path'][-10:-4] for i in range(len(dataset))))
print('ITERATIONS', runner.iter, runner.max_iters)
'''


@pytest.mark.parametrize('by_epoch', [False, True])
def test_restricts_a_stock_run(tools, guide, tmp_path, by_epoch):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
    sampler = dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=True)
    loop = dict(by_epoch=True, max_epochs=2) if by_epoch else dict(type='IterBasedTrainLoop', max_iters=2)
    keys = dict(
        default_scope='mmseg', work_dir=str(tmp_path / 'work'), model=guide['config'], train_cfg=loop,
        train_dataloader=dict(batch_size=2, num_workers=0, sampler=sampler,
                              dataset=dict(type='mmdistill.StreetScenes', num_scenes=12, size=32, pipeline=pipeline)),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[dict(type='mmdistill.MaskSelectionHook', workers=0,
                           selector=dict(type='ClassBalancedGreedy', budget=4))])
    config, script = tmp_path / 'config.py', tmp_path / 'train.py'
    config.write_text('\n'.join(f'{key} = {pprint.pformat(value)}' for key, value in keys.items()))
    script.write_text(TRAIN)
    done = tools(script, config)
    assert done.returncode == 0, done.stderr
    scenes = re.search(r'SCENES (.*)', done.stdout)[1]
    assert len(eval(scenes)) == 4, scenes
    assert 'Selected 4 of 12' in done.stdout
    assert re.search(r'ITERATIONS (.*)', done.stdout)[1] == ('4 4' if by_epoch else '2 2')
