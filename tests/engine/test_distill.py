"""mmdistill distill from its config to the distilled set."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file


@pytest.fixture(scope='module')
def finished(root, streets, tmp_path_factory):
    """Work dir of an undisturbed run of the tool, in an interpreter of its own."""
    work = tmp_path_factory.mktemp('finished')
    done = subprocess.run([sys.executable, 'tools/distill.py', streets, '--work-dir', work], cwd=root, text=True,
                          capture_output=True, env={**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stderr[-3000:]
    return work, done.stdout


def test_files_of_a_run(finished, tree):
    work, log = finished
    plan = json.loads((work / 'plan.json').read_text())
    assert len(plan['requests']) == 6 and len({request['seed'] for request in plan['requests']}) == 6
    manifest = json.loads((work / 'distilled/meta/distilled.json').read_text())
    assert [image['id'] for image in manifest['images']] == [request['id'] for request in plan['requests']]
    assert manifest['config_hash'] == plan['config_hash']
    assert len(manifest['weights']['weights']['generator']['sha256']) == 2
    files = tree(work / 'distilled')
    assert len(files) == 13 and not [name for name in files if name.endswith('.tmp')]
    for image in manifest['images']:
        pixels, mask = (cv2.imread(str(work / 'distilled' / image[key]), cv2.IMREAD_UNCHANGED)
                        for key in ('image', 'mask'))
        assert pixels.shape == (32, 32, 3) and mask.shape == (32, 32) and mask.max() < 11
        assert image['classes'] == np.unique(mask).tolist()
    assert (work / 'class_histograms.npz').is_file() and (work / 'class_statistics.safetensors').is_file()
    assert (work / 'selection.png').is_file() and list(work.rglob('preview_*.png'))
    assert 'Selected 6 of 12 masks' in log
    assert re.search(r'\[ *[12]/2\].*eta: ', next(work.rglob('*.log')).read_text())


def test_a_dry_run_makes_a_plan_and_reads_no_weights(tools, streets, finished, tmp_path):
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'plan.json').read_bytes() == (finished[0] / 'plan.json').read_bytes()
    assert 'Plan: 6 images from 12' in done.stdout and not (tmp_path / 'distilled').exists()


def test_a_dry_run_misses_weights_that_are_not_there(tools, streets, tmp_path):
    for key in ('model.generator.weights', 'custom_hooks.GuidedSynthesisHook.segmentor.checkpoint'):
        done = tools('distill', streets, '--work-dir', tmp_path / 'work', '--dry-run', '--cfg-options',
                     f'{key}=/nowhere/at/all')
        assert done.returncode == 1 and re.search(r'error: .*/nowhere/at/all', done.stderr), done.stderr
        assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('batch', [1, 5])
def test_another_batch_size_gives_the_same_bytes(tools, streets, finished, tree, tmp_path, batch):
    done = tools('distill', streets, '--work-dir', tmp_path, '--cfg-options', f'test_dataloader.batch_size={batch}')
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished[0] / 'distilled')


def test_two_processes_give_the_same_bytes(tools, streets, finished, tree, tmp_path):
    tools.in_two_processes('distill', streets, '--work-dir', tmp_path)
    assert tree(tmp_path / 'distilled') == tree(finished[0] / 'distilled')


SLOW = '''
import sys, time
from mmdistill.datasets import histograms, masks
from mmdistill.tasks import statistics
histograms._BLOCK = statistics._BLOCK = 2
def slow(name):
    whole = getattr(masks.DatasetMasks, name)
    def read(self, index, *size):
        print("\\nread", name, index, file=sys.stderr, flush=True)
        time.sleep(1)
        return whole(self, index, *size)
    setattr(masks.DatasetMasks, name, read)
slow("checked_mask")
slow("pair")
'''


def test_no_process_waits_while_another_one_reads_everything(tools, streets, finished, tree, tmp_path):
    """Each of 12 masks and images takes a second, and a process waits for no more than 9."""
    ended = tools.in_two_processes('distill', streets, '--work-dir', tmp_path, '--cfg-options',
                                   'env_cfg.dist_cfg.timeout=9', before=SLOW)
    assert tree(tmp_path / 'distilled').keys() == tree(finished[0] / 'distilled').keys()
    for name in ('checked_mask', 'pair'):
        first, second = (re.findall(rf'^read {name} (\d+)$', done.stderr, re.M) for done in ended)
        assert len(first) == len(second) == 6 and sorted(map(int, first + second)) == list(range(12))
    assert not list(tmp_path.glob('*.parts'))
    for name in ('class_histograms.npz', 'plan.json'):
        assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes()


def test_blocks_that_a_killed_run_finished_are_kept(tools, streets, finished, tmp_path):
    tools.killed('distill', streets, '--work-dir', tmp_path, before=SLOW, when=lambda: list(
        tmp_path.glob('class_histograms.parts/2.npz')))
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run', before=SLOW.replace('sleep(1)', 'sleep(0)'))
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r'^read checked_mask', done.stderr, re.M)) in (6, 8)
    assert (tmp_path / 'class_histograms.npz').read_bytes() == (finished[0] / 'class_histograms.npz').read_bytes()


def test_killed_and_resumed_gives_the_same_bytes(tools, streets, finished, tree, tmp_path):
    arguments = ('distill', streets, '--work-dir', tmp_path, '--cfg-options', 'test_dataloader.batch_size=1')
    tools.killed(*arguments, when=lambda: len(list((tmp_path / 'distilled').rglob('images/*.png'))) >= 2)
    before = tree(tmp_path / 'distilled')
    assert 4 <= len(before) < 13 and 'meta/distilled.json' not in before

    done = tools(*arguments)  # a new run does not mix with the old one
    assert done.returncode == 1 and '--resume' in done.stderr and tree(tmp_path / 'distilled') == before
    done = tools(*arguments, '--resume')
    assert done.returncode == 0 and 'images exist' in done.stdout, done.stderr
    assert tree(tmp_path / 'distilled') == tree(finished[0] / 'distilled')


def test_images_of_other_weights_are_not_mixed(tools, streets, finished, tree, tmp_path):
    work = tmp_path / 'work'
    shutil.copytree(finished[0], work)
    inputs = json.loads((work / 'inputs.json').read_text())
    assert set(inputs) == {'data', 'generator', 'guidance', 'class_statistics.safetensors'}
    for name, words in (('data', 'real images or masks'), ('generator', "generator's weights"),
                        ('guidance', "guide's weights"), ('class_statistics.safetensors', 'class statistics')):
        (work / 'inputs.json').write_text(json.dumps(dict(inputs, **{name: 'another'})))
        done = tools('distill', streets, '--work-dir', work, '--resume')
        said = done.stderr.strip().splitlines()[-1]
        assert done.returncode == 1 and re.fullmatch(
            rf'error: the {words}.* changed since the run in \S+ began: restore .*', said), done.stderr
    for text in ('{}', '[]', '{', None):
        (work / 'inputs.json').unlink() if text is None else (work / 'inputs.json').write_text(text)
        done = tools('distill', streets, '--work-dir', work, '--resume')
        assert done.returncode == 1 and 'inputs.json is not readable' in done.stderr.splitlines()[-1], done.stderr
    assert tree(work / 'distilled') == tree(finished[0] / 'distilled')


def swap(path):
    """Replace a PNG by another of its size."""
    cv2.imwrite(str(path), np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[::-1]))


def test_inputs_that_are_replaced_between_two_runs(tools, town, weights, guide, tmp_path):
    """A killed run is not continued with other photos, masks or networks under the same paths."""
    networks = tmp_path / 'networks'
    shutil.copytree(weights, networks / 'generator')
    shutil.copy(guide['checkpoint'], networks / 'guide.pth')
    command = ['distill', town.config, '--work-dir', town.work, '--cfg-options',
               f'model.generator.weights={networks / "generator"}',
               f'custom_hooks.GuidedSynthesisHook.segmentor.checkpoint={networks / "guide.pth"}']
    done = tools(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    image = next((town.work / 'distilled/images').glob('*.png'))
    image.unlink()
    (town.work / 'distilled/meta/distilled.json').unlink()

    def damaged_generator(path):
        shutil.copy(path, path.with_suffix('.old'))
        state = load_file(path)
        save_file({name: value + 1e-3 for name, value in state.items()}, path)

    def other_guide(path):
        loaded = torch.load(path, weights_only=True)
        torch.save(dict(state_dict={name: value * 2 for name, value in loaded['state_dict'].items()}), path)

    network = networks / 'generator/unet/diffusion_pytorch_model.safetensors'
    scheduler = networks / 'generator/scheduler/scheduler_config.json'

    def other_noise(path):
        path.write_text(json.dumps(dict(json.loads(path.read_text()), beta_end=0.5)))

    for path, change, words in ((town.data / 'images/0.png', swap, 'real images or masks'),
                                (town.data / 'masks/1.png', swap, 'real images or masks'),
                                (network, damaged_generator, "generator's weights"),
                                (scheduler, other_noise, "generator's weights or their configs"),
                                (networks / 'guide.pth', other_guide, "guide's weights")):
        status = path.stat()
        data = path.read_bytes()
        change(path)
        done = tools(*command, '--resume')
        assert done.returncode == 1 and f'error: the {words}' in done.stderr.splitlines()[-1], done.stderr[-2000:]
        assert not image.exists()
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    network.with_suffix('.old').unlink()
    done = tools(*command, '--resume')
    assert done.returncode == 0 and image.is_file(), done.stderr[-2000:]


CHECKING = """
import time
import mmdistill.engine.check as check
def check_run(*_):
    print('checking', flush=True)
    time.sleep(30)
check.check_run = check_run
"""


def test_a_run_that_is_stopped_early_names_the_kept_files(tools, streets, finished, tmp_path):
    work = shutil.copytree(finished[0], tmp_path / 'work')
    job = tools.start('distill', streets, '--work-dir', work, '--resume', before=CHECKING)
    while not Path(job.stdout).exists() or 'checking' not in Path(job.stdout).read_text():
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGTERM)
    done = tools.end(job)
    assert done.returncode == 143 and done.stderr.splitlines()[-1] == (
        f'stopped by SIGTERM: 6 images in {work}/distilled; the same command with --resume continues')
