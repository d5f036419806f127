"""mmdistill train of a class-conditional generator, to weights that mmdistill distill loads."""
import re
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from safetensors.torch import load_file

from mmdistill.generation import ClassConditionalGenerator
from mmdistill.plan import Request


@pytest.fixture(scope='module')
def trained(tools, root, weights, tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp('trained'), np.random.default_rng(0)
    config = root / 'configs/generators/class-unet_imagenette-128px.py'
    for split in ('train', 'val'):
        for wnid in Config.fromfile(config).classes:
            (folder / split / wnid).mkdir(parents=True)
            for n in range(2):
                pixels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((40, 36)).save(folder / split / wnid / f'{n}.JPEG')
    options = [f'{part}.dataset.pipeline.{key}' for part in ('train_dataloader', 'val_dataloader')
               for key in ('1.scale=32', '2.crop_size=32')]
    command = ['train', config, '--work-dir', folder / 'unet', '--cfg-options', 'train_cfg.max_iters=30',
               'train_cfg.val_interval=30', 'default_hooks.logger.interval=1', 'default_hooks.checkpoint.interval=20',
               'param_scheduler.LinearLR.end=2', 'train_dataloader.batch_size=4', 'train_dataloader.num_workers=0',
               'train_dataloader.persistent_workers=False', 'val_dataloader.batch_size=10',
               'model.unet.block_out_channels=[32,32]', 'model.unet.layers_per_block=1', 'model.unet.sample_size=8',
               'model.num_sampling_steps=4', 'randomness.seed=0', f'data_root={folder}', f'model.vae={weights}',
               *options]
    done = tools(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    return SimpleNamespace(folder=folder, log=done.stdout, command=command)


def test_the_loss_falls(trained):
    values = [float(value) for value in re.findall(r'Iter\(train\).* loss: ([\d.]+)', trained.log)]
    assert len(values) == 30 and np.mean(values[-5:]) < 0.8 * np.mean(values[:5])
    assert re.search(r'Iter\(val\).*loss', trained.log) and list((trained.folder / 'unet').rglob('samples_*.png'))


def test_the_export_makes_images_of_its_classes(trained):
    for part in ('unet', 'vae'):
        state = load_file(trained.folder / f'unet/export/{part}/diffusion_pytorch_model.safetensors')
        assert {str(value.dtype) for value in state.values()} == {'torch.float16'}
    generator = ClassConditionalGenerator.from_pretrained(
        str(trained.folder / 'unet/export'), num_steps=2, micro_batch=2, scheduler='DDIMScheduler', classes=['x'] * 10)
    images = generator.generate([Request('a', 1, classes=(label, )) for label in (3, 9)])
    assert images[0].shape == (32, 32, 3) and (images[0] != images[1]).any()


def test_a_class_that_the_network_lacks(trained, tools, tmp_path):
    done = tools(*trained.command, 'model.unet.num_classes=2', '--work-dir', tmp_path)
    assert done.returncode == 1 and re.search(
        'error: model.unet.num_classes: the network has 2 classes, the dataset 10: set it to 10', done.stderr)
