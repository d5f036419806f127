"""mmdistill train from nothing to weights that mmdistill distill loads."""
import re
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file

from mmdistill.cli import main
from mmdistill.engine.resuming import continue_training, discard_partial_checkpoint
from mmdistill.errors import DistillError
from mmdistill.generation import LayoutUNetGenerator
from mmdistill.plan import Request
from mmdistill.toy.street_scenes import CLASSES
from mmdistill.weights.configs import read_config as network_config

SHORT = ['train_cfg.max_iters=30', 'train_cfg.val_interval=30', 'default_hooks.logger.interval=1',
         'train_dataloader.batch_size=4', 'train_dataloader.dataset.num_scenes=4', 'val_dataloader.batch_size=4',
         'val_dataloader.dataset.num_scenes=4', 'default_hooks.checkpoint.interval=20', 'param_scheduler.0.end=2',
         'randomness.seed=0']


def losses(log):
    return [float(value) for value in re.findall(r'Iter\(train\).* loss: ([\d.]+)', log)]


@pytest.fixture(scope='module')
def trained(tools, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    vae = tools('train', root / 'configs/generators/autoencoder_streets-64x64.py', '--work-dir', folder / 'vae',
                '--cfg-options', *SHORT)
    assert vae.returncode == 0, vae.stderr[-2000:]
    command = ['train', root / 'configs/generators/layout-unet_streets-64x64.py', '--work-dir', folder / 'unet',
               '--cfg-options', f'model.vae={folder / "vae/export"}', 'model.unet.block_out_channels=[32,32]', *SHORT]
    unet = tools(*command)
    assert unet.returncode == 0, unet.stderr[-2000:]
    return SimpleNamespace(folder=folder, vae=vae.stdout, unet=unet.stdout, command=command)


def test_the_losses_fall(trained):
    for log in (trained.vae, trained.unet):
        values = losses(log)
        assert len(values) == 30 and np.mean(values[-5:]) < 0.8 * np.mean(values[:5])
    assert 'PSNR' in trained.vae
    assert list((trained.folder / 'unet').rglob('samples_*.png')) and list((trained.folder / 'vae').rglob('samples_*'))


def test_the_export_makes_images(trained):
    for part in ('unet', 'vae'):
        weights = load_file(trained.folder / f'unet/export/{part}/diffusion_pytorch_model.safetensors')
        assert {str(value.dtype) for value in weights.values()} == {'torch.float16'}
    generator = LayoutUNetGenerator.from_pretrained(
        str(trained.folder / 'unet/export'), image_size=64, num_steps=2, micro_batch=1, scheduler='DDIMScheduler')
    image, = generator.generate([Request('a', 1, 0, '')], [np.zeros((64, 64), np.uint8)])
    assert image.shape == (64, 64, 3) and image.std() > 0
    assert network_config(trained.folder / 'unet/export/unet')['classes'] == list(CLASSES)


def test_another_number_of_classes_is_refused_before_the_first_iteration(trained, tools, tmp_path):
    done = tools(*trained.command[:3], tmp_path, *trained.command[4:], 'model.unet.num_classes=5')
    assert done.returncode == 1 and 'Iter(train)' not in done.stdout
    assert done.stderr.strip().splitlines()[-1] == (
        'error: model.unet.num_classes: the network has 5 classes, the dataset 11: set it to 11')


def test_an_autoencoder_of_another_factor_is_refused_before_the_first_iteration(trained, tools, tmp_path):
    done = tools(*trained.command[:3], tmp_path, *trained.command[4:], 'model.unet.layout_factor=8')
    assert done.returncode == 1 and 'Iter(train)' not in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r'error: model\.unet\.layout_factor=8, but the latents of .* are 4 times smaller than its '
                        'images: set it to 4', last), last


def test_a_dry_run_says_what_is_trained_and_writes_nothing(trained, root, tmp_path, capsys):
    config, work = root / 'configs/generators/layout-unet_streets-64x64.py', tmp_path / 'work'
    command = ['train', str(config), '--work-dir', str(work), '--dry-run', '--cfg-options', *SHORT,
               'model.vae=mmdistill://streets', 'model.unet.block_out_channels=[32,32]']

    def refused(*options):
        with pytest.raises(SystemExit) as end:
            main([*command, *options])
        return str(end.value.code)

    main(command)
    lines = capsys.readouterr().out.splitlines()
    assert not work.exists()
    assert re.fullmatch(r'Plan: train LayoutDiffusion, [\d.]+ million parameters, for 30 iterations of 4 images',
                        lines[-5])
    assert lines[-4:] == ['Data: 4 images of StreetScenes (train_dataloader.dataset)',
                          'Validation: every 30 iterations on 4 images',
                          'Trial: one step on 2 training images and the metrics of one validation image succeeded',
                          f'Output: {work}']
    assert 'model.unet.num_classes: the network has 5 classes' in refused('model.unet.num_classes=5')
    assert 'no weights at /no/vae' in refused('model.vae=/no/vae')
    assert "load_from='/no/start.pth': there is no such file" in refused('load_from=/no/start.pth')
    assert not work.exists()
    work.mkdir()
    torch.save(dict(state_dict={}), work / 'iter_20.pth')
    assert 'holds a training (iter_20.pth): continue it with --resume' in refused()
    assert re.fullmatch(r'error: \S+iter_20.pth does not fit this training \(missing keys in source state_dict: .*',
                        refused('--resume'))
    shutil.copy(trained.folder / 'unet/iter_20.pth', work)
    capsys.readouterr()
    main([*command, 'randomness.seed=1', '--resume'])
    assert f'Start: {work}/iter_20.pth, which is resumed' in capsys.readouterr().out
    assert [path.name for path in work.iterdir()] == ['iter_20.pth']


@pytest.mark.parametrize('config, options', [
    ('layout-unet_streets-64x64', ['val_dataloader.dataset.num_scenes=4']), ('class-unet_objects-64px', [])])
def test_a_dry_run_does_not_ask_the_hub(root, tmp_path, monkeypatch, capsys, config, options):
    def connect(*args, **kwargs):
        raise AssertionError('a connection')
    monkeypatch.setattr('huggingface_hub.HfApi.repo_info', connect)
    monkeypatch.setattr('socket.create_connection', connect)
    command = ['train', str(root / f'configs/generators/{config}.py'), '--work-dir', str(tmp_path / 'work'),
               '--dry-run', '--cfg-options', 'model.vae=no-such-owner/taesd', *options]
    main(command)
    lines = capsys.readouterr().out.splitlines()
    assert 'Weights: no-such-owner/taesd is on the hub; it was neither downloaded nor checked' in lines
    assert lines[-1] == f'Output: {tmp_path / "work"}' and any(line.startswith('Plan: train ') for line in lines)
    for option, error in (('model.unet.block_out_channels=[7]', 'model.unet.block_out_channels=[7]: '),
                          ('model.unet.layout_factor=3', 'model.unet.layout_factor')):
        with pytest.raises(SystemExit) as end:
            main([*command, option])
        assert error in str(end.value.code)


def test_a_dry_run_reads_an_autoencoder_in_the_cache(root, tmp_path, monkeypatch, capsys):
    folder = root / 'mmdistill/toy/weights/streets'
    monkeypatch.setattr('mmdistill.weights.address._cached', lambda address: folder)
    command = ['train', str(root / 'configs/generators/layout-unet_streets-64x64.py'), '--work-dir', str(tmp_path),
               '--dry-run', '--cfg-options', 'model.vae=no-such-owner/taesd', 'val_dataloader.dataset.num_scenes=4']
    main(command)
    assert 'is on the hub' not in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main([*command, 'model.unet.layout_factor=8'])
    assert 'model.unet.layout_factor=8, but the latents of' in str(end.value.code)


def _missing(data):
    (data / 'masks/3.png').unlink()


def _wrong_id(data):
    mask = cv2.imread(str(data / 'masks/2.png'), cv2.IMREAD_UNCHANGED)
    mask[:2, :3] = 77
    cv2.imwrite(str(data / 'masks/2.png'), mask)


def _colours(data):
    for path in (data / 'masks').iterdir():
        cv2.imwrite(str(path), np.full((32, 32, 3), 3, np.uint8))


@pytest.mark.parametrize('spoil, error', [
    (lambda data: shutil.rmtree(data / 'images'), r'no data at .*images: set train_dataloader\.dataset\.data_root, .*'),
    (_missing, r'.*masks/3\.png.*'),
    (_wrong_id, r'.*masks/2\.png: id 77 in 6 pixels, but the classes are 0\.\.10, and 255 is ignored: .*'),
    (_colours, r'.*masks/\d\.png: a mask has one channel, .*')], ids=['folder', 'missing', 'id', 'colours'])
def test_wrong_data_is_one_line(trained, tools, town, tmp_path, spoil, error):
    spoil(town.data)
    dataset = Config.fromfile(town.config).test_dataloader.dataset
    path = tmp_path / 'generator.py'
    lines = [f'_base_ = {str(trained.command[1])!r}', f'dataset = dict(_delete_=True, **{dataset.to_dict()!r})',
             'train_dataloader = dict(dataset=dataset)', 'val_dataloader = dict(dataset=dataset)']
    path.write_text('\n'.join(lines))
    options = [option for option in trained.command[5:] if 'num_scenes' not in option]
    done = tools('train', path, '--work-dir', tmp_path / 'work', '--cfg-options', *options)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and re.fullmatch(f'error: {error}', last), done.stderr[-3000:]


def test_a_new_training_does_not_overwrite_another(trained, tools):
    files = {path: path.stat().st_mtime_ns for path in (trained.folder / 'unet').rglob('*.pth')}
    done = tools(*trained.command)
    assert done.returncode == 1 and re.fullmatch(r'error: \S+unet holds a training \(iter_30.pth\): continue it with '
                                                 '--resume, remove it, or .*', done.stderr.strip().splitlines()[-1])
    assert files == {path: path.stat().st_mtime_ns for path in (trained.folder / 'unet').rglob('*.pth')}


def test_resume_skips_an_incomplete_checkpoint(trained, tools, tmp_path):
    shutil.copytree(trained.folder / 'unet', tmp_path / 'unet')
    last = tmp_path / 'unet/iter_30.pth'
    last.write_bytes(last.read_bytes()[:-1000])
    command = [tmp_path / 'unet' if part == trained.folder / 'unet' else part for part in trained.command]
    done = tools(*command, 'train_cfg.max_iters=23', '--resume')
    assert done.returncode == 0, done.stderr[-2000:]
    iterations = [int(number) for number in re.findall(r'Iter\(train\) *\[ *(\d+)/23\]', done.stdout)]
    assert iterations == [21, 22, 23] and 'iter_30.pth is incomplete or damaged' in done.stdout + done.stderr
    for path in (tmp_path / 'unet').glob('*.pth'):
        path.write_bytes(b'')
    done = tools(*command, '--resume')
    assert done.returncode == 1 and 'none of the checkpoints in' in done.stderr.splitlines()[-1], done.stderr
    for path in sorted((tmp_path / 'unet').glob('*.pth'))[1:]:  # as if the first one had been cut short
        path.unlink()
    last, = (tmp_path / 'unet').glob('*.pth')
    (tmp_path / 'unet/last_checkpoint').write_text(str(last))  # it was complete once
    done = tools(*command, '--resume')
    assert done.returncode == 1 and 'none of the checkpoints in' in done.stderr.splitlines()[-1], done.stderr
    (tmp_path / 'unet/last_checkpoint').unlink()
    done = tools(*command, 'train_cfg.max_iters=2', '--resume')
    assert done.returncode == 0 and 'starting again' in done.stdout + done.stderr, done.stderr[-2000:]
    assert re.findall(r'Iter\(train\) *\[ *(\d+)/2\]', done.stdout) == ['1', '2']


def test_a_last_checkpoint_that_does_not_exist(tmp_path, monkeypatch):
    said: list = []
    monkeypatch.setattr('mmdistill.engine.resuming.print_log', lambda message, *_: said.append(message))
    cfg, last = Config(dict(work_dir=str(tmp_path))), tmp_path / 'last_checkpoint'
    last.write_text('/no/such/iter_9.pth')
    continue_training(cfg, False)  # a new training writes its own
    with pytest.raises(DistillError, match=rf'^{last} names /no/such/iter_9\.pth, which does not exist, and .* has no '
                                           'other checkpoint: restore it, or remove last_checkpoint to start again$'):
        continue_training(cfg, True)
    torch.save(dict(a=1), tmp_path / 'iter_3.pth')
    continue_training(cfg, True)
    assert cfg.load_from == str(tmp_path / 'iter_3.pth')
    assert said == [f'{last} names /no/such/iter_9.pth, which does not exist: resuming from {tmp_path}/iter_3.pth']
    last.write_text('/moved/iter_3.pth')  # a work dir that was moved
    continue_training(cfg, True)
    assert len(said) == 1


def test_resume_goes_on(trained, tools):
    done = tools(*trained.command, 'train_cfg.max_iters=33', '--resume')
    assert done.returncode == 0, done.stderr[-2000:]
    iterations = [int(number) for number in re.findall(r'Iter\(train\) *\[ *(\d+)/33\]', done.stdout)]
    assert iterations[0] > 20 and iterations[-1] == 33
    assert ('iter_30.pth is resumed with other settings: train_cfg.max_iters is 30 in the last start of this training '
            'and 33 in the config\n') in done.stdout + done.stderr
    done = tools(*trained.command, 'train_cfg.max_iters=33', '--resume')
    assert done.returncode == 0 and 'other settings' not in done.stdout + done.stderr


@pytest.mark.parametrize('content', [dict(state_dict=3), dict(state_dict={}), dict(state_dict={}, meta=[]), {}])
def test_a_checkpoint_of_something_else(trained, tools, tmp_path, content):
    torch.save(content, tmp_path / 'iter_5.pth')
    command = [tmp_path if part == trained.folder / 'unet' else part for part in trained.command]
    done = tools(*command, '--resume')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert re.fullmatch(r'error: \S+iter_5.pth does not fit this training .*',
                        done.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize('text', [b'x' * 9000, b'\xff', b'\x00', b''])
def test_a_last_checkpoint_that_names_nothing(tmp_path, text):
    (tmp_path / 'last_checkpoint').write_bytes(text)
    cfg = SimpleNamespace(work_dir=tmp_path)
    try:
        continue_training(cfg, True)
    except DistillError as error:
        assert 'last_checkpoint names ' in str(error) and len(str(error)) < 5000


def test_an_incomplete_checkpoint_on_a_full_disk_is_removed(tmp_path):
    torch.save(dict(a=torch.zeros(99)), tmp_path / 'iter_10.pth')
    with pytest.raises(OSError), discard_partial_checkpoint(tmp_path):
        (tmp_path / 'iter_20.pth').write_bytes((tmp_path / 'iter_10.pth').read_bytes()[:-50])
        raise OSError(28, 'No space left on device')
    assert [path.name for path in tmp_path.iterdir()] == ['iter_10.pth']
