"""The terminal output of a run. The log file in its work dir has the rest."""
import re

import pytest

from mmdistill.engine.progress import _class_counts, _per_class
from mmdistill.plan import Plan, Request

NOISE = re.compile(r'System environment|default_hooks|before_train_epoch|mmengine - INFO|Iter\(test\)|OneDL')
WARNS = '''
import logging, warnings
from mmdistill.engine import loop
run = loop.DistillLoop.run
def noisy(self):
    from mmengine.logging import print_log
    warnings.warn('of a library')
    logging.getLogger('mmdistill').warning('of the core')
    self.logger.warning('of the loop')
    print_log('of a component', 'current')
    return run(self)
loop.DistillLoop.run = noisy
'''


@pytest.fixture(scope='module')
def run(tools, streets, tmp_path_factory):
    def run(*options, **env):
        work = tmp_path_factory.mktemp('work')
        done = tools('distill', streets, '--work-dir', work, '--cfg-options', 'test_dataloader.batch_size=2', *options,
                     before=WARNS, **env)
        assert done.returncode == 0, done.stderr
        log, = work.glob('*/*.log')
        return done, log.read_text()

    return run


def test_output_that_a_user_needs(run):
    done, log = run()
    assert not NOISE.search(done.stdout + done.stderr) and len(done.stdout.splitlines()) < 20, done.stdout
    assert re.search(r'^Plan: 6 images from 12', done.stdout, re.M) and 'Distilled set is complete' in done.stdout
    assert '===' not in done.stdout and done.stderr == ''  # no bar where there is no terminal
    for text in ('System environment', 'default_hooks', 'before_train_epoch', 'Iter(test)', 'first to last guided step',
                 'Plan: 6 images', 'of a library', 'of the core', 'of the loop', 'of a component'):
        assert text in log, text
    for line in ('warning: of the core', 'warning: of the loop', 'of a component'):
        assert done.stdout.splitlines().count(line) == 1, done.stdout
    assert 'of a library' not in done.stdout + done.stderr


def test_a_bar_redraws_on_a_terminal(tools, streets, tmp_path):
    terminal = 'import sys; sys.stdout.isatty = lambda: True'
    done = tools('distill', streets, '--work-dir', tmp_path, '--cfg-options', 'test_dataloader.batch_size=2',
                 before=terminal)
    assert done.returncode == 0 and re.search(r'\n\[ {30}\] 0/6 images', done.stdout), done.stdout
    assert re.search(r'\n\[={30}\] 6/6 images\x1b\[K\nDistilled set is complete', done.stdout), done.stdout


TRAINING = ['train_dataloader.dataset.num_scenes=4', 'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
            'val_dataloader.dataset.num_scenes=4', 'val_dataloader.num_workers=0', 'default_hooks.logger.interval=1']


def test_a_training_redraws_its_bar_on_a_terminal(tools, root, tmp_path):
    """The loss is in it, and MMEngine's lines are in the log file; a resumed training goes on where the bar was."""
    config = root / 'configs/students/unet_streets-64x64.py'
    before = 'import sys; sys.stdout.isatty = lambda: True'
    for last, begin in ((4, 0), (6, 4)):
        options = [*TRAINING, f'train_cfg.max_iters={last}', 'train_cfg.val_interval=2',
                   'default_hooks.checkpoint.interval=2']
        done = tools('train', config, '--work-dir', tmp_path, '--resume', '--cfg-options', *options, before=before)
        assert done.returncode == 0, done.stderr[-2000:]
        assert f'] {begin}/{last} iterations\x1b' in done.stdout and 'Iter(train)' not in done.stdout
        assert re.search(rf'\[={{30}}\] {last}/{last} iterations, loss [\d.]+\x1b', done.stdout), done.stdout
        assert 'Saving checkpoint' in done.stdout
        assert done.stdout.count('Iter(val)') == done.stdout.count('mIoU: ') == (last - begin) // 2, done.stdout
        assert f'Iter(train) [{last}/{last}]' in max(tmp_path.glob('*/*.log')).read_text()


def test_everything_where_it_is_asked_for(run):
    done, _ = run(MMDISTILL_OUTPUT='all')
    assert 'System environment' in done.stdout and 'Iter(test)' in done.stdout
    assert 'of a library' in done.stderr
    done, _ = run('log_level=DEBUG')
    assert 'System environment' in done.stdout and 'Iter(test)' in done.stdout


def test_brief(run):
    done, log = run(MMDISTILL_OUTPUT='brief')
    assert done.stdout.splitlines() == [
        'warning: of the core', 'warning: of the loop', 'warning: No image of the plan has these classes: person'
    ], done.stdout
    assert 'Plan: 6 images' in log


def test_the_plans_line_tells_images_from_classes():

    def text(*requests):
        plan = Plan('D3S2', 'hash', 0, ('a', 'b'), (), 9, tuple(
            Request(str(number), number, classes=classes, candidate=candidate)
            for number, (classes, candidate) in enumerate(requests)))
        return _per_class(plan, _class_counts(plan))

    assert text(((0, ), 0), ((1, ), 0)) == ', 1 per class for 2 classes'
    assert text(((0, ), 0), ((1, ), 0), ((0, ), 1), ((1, ), 1)) == ', 1 per class for 2 classes'
    assert text(((0, 1), 0)) == '; each of 2 classes is in 1 of them'
    assert text(((0, 1), 0), ((0, ), 0)) == '; images with each class: a 2, b 1'
