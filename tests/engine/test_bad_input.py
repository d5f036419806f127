"""Each mistake of a user: one line, exit status 1, no incomplete files."""
import json
import re

import cv2
import numpy as np
import pytest


@pytest.fixture
def refused(tools, town):
    """``refused(*options, say=…)``: the tool ends with this one line, and writes no distilled set."""

    def check(*options, say, extra=(), work=None, before=''):
        options = ('--cfg-options', *options) if options else ()
        done = tools('distill', town.config, '--work-dir', work or town.work, *extra, *options, before=before)
        lines = done.stderr.splitlines()  # warnings of the libraries may come first
        assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
        assert [line for line in lines if line.startswith('error: ')] == lines[-1:], done.stderr
        assert re.search(say, lines[-1]), lines[-1]
        assert not list(town.work.glob('distilled/**/*.*'))
        assert not [path for path in town.work.rglob('*') if path.name.endswith('.tmp')]

    return check


def mask_file(town):
    return str(town.data / 'masks' / '2.png')


def test_no_such_data_root(refused):
    refused('test_dataloader.dataset.data_root=/no/such/place', say='no data at /no/such/place.*data_root')


def test_an_image_without_its_mask(refused, town):
    (town.data / 'masks' / '2.png').unlink()
    refused(say=r'no mask at .*masks/2\.png')


def test_mask_and_image_of_different_sizes(refused, town):
    cv2.imwrite(mask_file(town), np.zeros((32, 40), np.uint8))
    refused(say=r'masks/2\.png is 40x32 .* 32x32')


def test_an_id_out_of_range(refused, town):
    cv2.imwrite(mask_file(town), np.full((32, 32), 11, np.uint8))
    refused(say=r'masks/2\.png: id 11 .*out of range')


@pytest.mark.parametrize('mask, say', [
    (np.full((32, 32), 300, np.uint16), 'id 300 in 1024 pixels does not fit into 8 bits'),
    (np.zeros((32, 32, 3), np.uint8), 'a RGB mask contains colours')])
def test_a_mask_that_is_no_label_map(refused, town, mask, say):
    cv2.imwrite(mask_file(town), mask)
    refused(say=rf'masks/2\.png: {say}')


@pytest.mark.parametrize('budget, say', [(0, 'budget=0 '), (5, 'budget 5 .*4 masks'), ('1.5', 'budget=1.5 ')])
def test_a_budget_out_of_range(refused, budget, say):
    refused(f'custom_hooks.0.selector.budget={budget}', say=say)


def test_a_class_that_does_not_exist(refused):
    refused('test_dataloader.dataset.type=mmseg.ADE20KDataset',
            'test_dataloader.dataset.metainfo.classes=[wall,dragon]', say='dragon')


def test_weights_that_do_not_fit(refused, town, weights, tmp_path):
    import shutil
    folder = tmp_path / 'other'
    shutil.copytree(weights, folder)
    config = folder / 'unet' / 'config.json'
    config.write_text(json.dumps(dict(json.loads(config.read_text()), block_out_channels=[16, 64])))
    refused(f'model.generator.weights={folder}', say='do not fit.*unet')
    refused('custom_hooks.1.segmentor.config.backbone.base_channels=8', say='do not fit')
    refused('custom_hooks.1.segmentor.config.decode_head.num_classes=7', say='segmentor has 7 classes, the dataset 11')


def test_weights_that_are_not_there(refused):
    refused('model.generator.weights=/no/weights', say='no weights at /no/weights')
    refused('custom_hooks.1.segmentor.checkpoint=/no/guide.pth', say='/no/guide.pth')


def test_a_scheduler_that_cannot_be_guided(refused):
    refused('model.generator.scheduler=PNDMScheduler', say='PNDMScheduler cannot be guided')


def test_a_plan_of_another_config(refused, tools, town, tree):
    assert tools('distill', town.config, '--work-dir', town.work, '--dry-run').returncode == 0
    plan = (town.work / 'plan.json').read_bytes()
    refused('model.generator.num_steps=5', extra=('--resume', ),
            say=r'belongs to another config \(model.generator.num_steps is \d+ in the plan and 5 in the config\)')
    assert (town.work / 'plan.json').read_bytes() == plan
    assert not (town.work / 'town.py').exists()  # the config is copied when the first image is generated


def test_resume_without_a_plan(refused, tools, town):
    """The run starts, so that the same command starts and restarts a job; images without a plan are refused."""
    done = tools('distill', town.config, '--work-dir', town.work, '--resume')
    assert done.returncode == 0 and f'There is no run to resume in {town.work}' in done.stdout, done.stderr
    assert (town.work / 'distilled/meta/distilled.json').is_file()
    (town.work / 'plan.json').unlink()
    done = tools('distill', town.config, '--work-dir', town.work, '--resume')
    assert done.returncode == 1 and re.fullmatch('error: no plan at .*plan.json: restore it, or begin the run again in '
                                                 'another folder', done.stderr.splitlines()[-1])


def test_a_work_dir_that_cannot_be_written(refused, tmp_path):
    (tmp_path / 'file').write_text('')
    refused(work=tmp_path / 'file', say='cannot write into the work dir .*file')
    refused(work=tmp_path / 'file' / 'below', say='cannot write into the work dir .*file')


FULL = '''
import errno, pathlib
write = pathlib.Path.write_bytes
def full(path, data):
    if '3.png' in path.name or '.jpg' in path.name or 'images' in str(path):
        write(path, data[:10])
        raise OSError(errno.ENOSPC, 'No space left on device')
    return write(path, data)
pathlib.Path.write_bytes = full
'''


def test_a_full_disk(refused):
    refused(before=FULL, say='cannot write .*No space left.*run the command again')


def test_no_such_config(tools, tmp_path):
    done = tools('distill', tmp_path / 'none.py')
    assert done.returncode == 1 and re.fullmatch(r'error: .*none\.py.*\n', done.stderr)
