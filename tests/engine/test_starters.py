"""``mmdistill init``: the written configs pass the checks, and mistakes are reported in one line."""
import os
import re

import numpy as np
import pytest
from PIL import Image

from mmdistill import cli
from mmdistill.config import read_config
from mmdistill.engine.check import check_run
from mmdistill.engine.training_checks import check_training
from mmdistill.starters.data import code, read_data
from tests.conftest import save_layout_unet

ADE = 'mmseg::_base_/datasets/ade20k.py'
NETTE = 'mmdistill::_base_/datasets/imagenette.py'


@pytest.fixture
def init(tmp_path, capsys, monkeypatch):
    """``init(dataset, generator)`` writes my_run.py in a new folder; what was printed, and the config."""
    monkeypatch.chdir(tmp_path)

    def run(dataset, generator=None, name='my_run.py'):
        cli.main(['init', name, '--dataset', str(dataset), *(['--generator', generator] if generator else [])])
        return capsys.readouterr().out, read_config(name)

    return run


@pytest.mark.parametrize('dataset, generator, words, network, method', [
    (ADE, None, 'ControlNet++', 'ControlNetGenerator', 'D3S2'),
    ('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', None, '1.4 GB', 'ControlNetGenerator', 'D3S2'),
    ('mmdistill::_base_/datasets/coco-stuff164k.py', 'sd15-controlnet++', 'OpenRAIL', 'ControlNetGenerator', 'D3S2'),
    ('mmseg::_base_/datasets/cityscapes.py', 'sd15-controlnet++', '4.3 GB', 'ControlNetGenerator', 'unguided'),
    ('mmpretrain::_base_/datasets/cub_bs8_384.py', None, 'OpenRAIL', 'Img2ImgGenerator', 'D4M'),
    ('mmpretrain::resnet/resnet50_8xb32_in1k.py', 'dit-xl2', 'CC-BY-NC-4.0', 'ClassConditionalGenerator', 'DMGD'),
    (NETTE, 'dit-xl2', '3.3 GB', 'ClassConditionalGenerator', 'DMGD'),
])
def test_published_weights(init, dataset, generator, words, network, method):
    """The config passes the checks of a run, and names the weights that it needs, their size and licence."""
    printed, cfg = init(dataset, generator)
    check_run(cfg)
    assert cfg.model.generator.type == network and cfg.test_cfg.method == method
    text = open('my_run.py').read()
    assert words in printed and words in text and 'mmdistill distill my_run.py --dry-run' in printed
    assert max(map(len, text.splitlines())) <= 120 and len(text.splitlines()) < 70


def test_class_ids_of_a_subset(init):
    assert init(NETTE, 'dit-xl2')[1].model.generator.class_ids[:3] == [0, 217, 482]


def test_freestylenet_asks_for_its_converted_unet(init, sd_folder):
    printed, cfg = init(ADE, 'freestylenet')
    assert cfg.model.generator.names == 'ade20k' and '3.4 GB' in printed
    assert f'mmdistill convert-unet {cfg.model.generator.unet.removeprefix("work_dirs/")}.ckpt' in open(
        'my_run.py').read()


@pytest.mark.parametrize('dataset, classes', [
    ('mmseg::_base_/datasets/pascal_voc12_aug.py', 21), ('mmseg::_base_/datasets/drive.py', 2), (NETTE, 10),
    ('mmpretrain::_base_/datasets/cub_bs8_384.py', 200)])
def test_training_ones_own(init, dataset, classes):
    """The configs of the trainings pass their checks and write the weights of the run, for masks also of the guide."""
    printed, cfg = init(dataset, 'train-your-own')
    training = read_config('my_run_generator.py')
    check_training(training, 'my_run_generator.py')
    assert training.model.unet.num_classes == classes
    assert cfg.model.generator.weights == 'work_dirs/my_run_generator/export'
    assert printed.index('mmdistill train my_run_generator.py') < printed.index('mmdistill distill my_run.py')
    assert os.path.exists('my_run_guide.py') == dataset.startswith('mmseg')
    if not os.path.exists('my_run_guide.py'):
        return
    guide, hook = read_config('my_run_guide.py'), cfg.custom_hooks[1]
    check_training(guide, 'my_run_guide.py')
    assert guide.model.decode_head.num_classes == classes and cfg.test_cfg.method == 'D3S2'
    assert hook.segmentor.config == 'my_run_guide.py'
    assert hook.segmentor.checkpoint == 'work_dirs/my_run_guide/export/model.safetensors'
    assert guide.model.data_preprocessor.size == hook.segmentor.size == tuple(
        side // 2 for side in cfg.model.generator.image_size)
    assert printed.index('mmdistill train my_run_guide.py') < printed.index('mmdistill distill my_run.py')


DATASET = '''
train_dataloader = dict(batch_size=2, dataset=dict(
    type='BaseSegDataset', data_root={root!r}, img_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    metainfo=dict(classes=('sky', 'grass', 'my own'), palette=[[0, 0, 9], [0, 9, 0], [9, 0, 0]]),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
'''


@pytest.fixture
def photos(tmp_path):
    """A config of 6 photos and masks in a folder."""
    for index in range(6):
        for folder, shape in (('images', (32, 32, 3)), ('masks', (32, 32))):
            (tmp_path / 'photos' / folder).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(index).integers(3 if len(shape) == 2 else 256, size=shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f'photos/{folder}/{index}.png')
    (tmp_path / 'photos.py').write_text(DATASET.format(root=str(tmp_path / 'photos')))
    return tmp_path / 'photos.py'


def test_a_folder_of_photos_with_ones_own_generator(init, photos, tmp_path, tools):
    init(photos)  # masks of other classes than those of public weights
    save_layout_unet(tmp_path / 'weights', 3)
    done = tools('train', tmp_path / 'my_run_guide.py', '--work-dir', tmp_path / 'guide', '--cfg-options',
                 'train_cfg.max_iters=1', 'train_dataloader.batch_size=2')
    assert done.returncode == 0, done.stderr[-2000:]
    guide = 'custom_hooks.GuidedSynthesisHook.segmentor'
    done = tools('distill', tmp_path / 'my_run.py', '--work-dir', tmp_path / 'work', '--cfg-options',
                 'model.generator.image_size=32', 'model.generator.num_steps=3', 'model.generator.scheduler=None',
                 f'model.generator.weights={tmp_path}/weights', f'{guide}.config={tmp_path}/my_run_guide.py',
                 f'{guide}.checkpoint={tmp_path}/guide/export/model.safetensors')
    assert done.returncode == 0 and 'Distilled set is complete: 1 image' in done.stdout, done.stderr
    done = tools('train', tmp_path / 'my_run_generator.py', '--work-dir', tmp_path / 'vae', '--cfg-options',
                 'train_cfg.max_iters=1', 'train_cfg.val_interval=1', f'model.vae={tmp_path}/weights/vae',
                 'model.unet.layout_factor=4', 'model.unet.layout_channels=16', 'model.unet.block_out_channels=[16,32]',
                 'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False')
    assert done.returncode == 0 and (tmp_path / 'vae/export').is_dir(), done.stderr[-2000:]


@pytest.mark.parametrize('shape, size', [
    ((360, 480), (384, 512)), ((480, 360), (512, 384)), ((1080, 1920), (384, 704)), ((50, 50), (64, 64)),
    ((10, 900), (64, 192)), (None, (512, 512))])
def test_the_size_follows_the_photos(init, photos, tmp_path, shape, size):
    """The shape and about the size of the first photo, at most the area of 512x512, multiples of 64."""
    first = tmp_path / 'photos/images/0.png'
    if shape:
        Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(first)
    else:
        first.write_bytes(b'no photo')
    _, cfg = init(photos)
    training = read_config(str(tmp_path / 'my_run_generator.py'))
    resize, = (step for step in training.train_dataloader.dataset.pipeline if step['type'] == 'Resize')
    assert (cfg.model.generator.image_size, tuple(resize.scale)) == (size, size[::-1])


def test_a_controlnet_for_ones_own_classes(init, photos, sd_folder, tmp_path, tools):
    """Its palette has the colours of ADE20K for equal names; comments name the other classes."""
    _, cfg = init(photos, 'sd15-controlnet++')
    assert cfg.model.generator.palette == [[6, 230, 230], [4, 250, 7], [0, 0, 0]]
    assert '[0, 0, 0],  # my own: no class of this name' in (tmp_path / 'my_run.py').read_text()
    done = tools('distill', tmp_path / 'my_run.py', '--work-dir', tmp_path / 'work', '--dry-run', '--cfg-options',
                 f'model.generator.weights={sd_folder}', f'model.generator.controlnet={sd_folder}/colours',
                 'model.generator.guidance_vae=None', 'model.generator.image_size=32')
    assert done.returncode == 0 and 'Plan: 1 image from 6' in done.stdout, done.stderr


@pytest.mark.parametrize('dataset, generator, say', [
    (ADE, 'sd15', 'error: --generator sd15: it is not for segmentation.*: use sd15-controlnet\\+\\+, freesty'),
    ('mmpretrain::_base_/datasets/cub_bs8_384.py', 'dit-xl2', 'DiT generates the classes of ImageNet, .* use --gen'),
    ('mmseg::_base_/models/fcn_unet_s5-d16.py', None, 'it has no train_dataloader.dataset: give a dataset file'),
    ('mmpretrain::_base_/datasets/coco_vqa.py', None, 'COCOVQA belongs to no known task'),
    ('mmseg::none.py', None, 'no config at .*none.py'),
])
def test_one_line_for_a_mistake(init, tmp_path, dataset, generator, say):
    with pytest.raises(SystemExit) as end:
        init(dataset, generator)
    assert re.search(say, end.value.code) and '\n' not in end.value.code and not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_kept(init, tmp_path):
    (tmp_path / 'my_run.py').write_text('mine')
    with pytest.raises(SystemExit, match='^error: my_run.py exists: remove it, or choose another name$'):
        init(ADE)
    assert (tmp_path / 'my_run.py').read_text() == 'mine' and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(SystemExit, match='^error: my_run: a config is a Python file'):
        init(ADE, name='my_run')


def test_a_folder_for_each_class_gives_the_classes(init, tmp_path):
    for name in ('rose', 'daisy', 'tulip'):
        (tmp_path / 'flowers/train' / name).mkdir(parents=True)
    (tmp_path / 'd.py').write_text(
        "default_scope = 'mmpretrain'\ntrain_dataloader = dict(dataset=dict(type='CustomDataset', "
        f"data_root={str(tmp_path / 'flowers')!r}, data_prefix='train'))")
    init(tmp_path / 'd.py', 'train-your-own')
    training = read_config('my_run_generator.py')
    check_training(training, 'my_run_generator.py')
    assert training.model.unet.num_classes == 3


def test_custom_imports_come_along(init, tmp_path):
    (tmp_path / 'd.py').write_text(f"custom_imports = dict(imports=['json'])\n_base_ = '{ADE}'")
    assert init(tmp_path / 'd.py')[1].custom_imports.imports == ['json']


def test_values_as_text():
    long = dict(type='A', names=tuple(f'class {number}' for number in range(40)), parts=[dict(a=1, b=(2, )), 'x' * 90])
    for value in (long, {'a b': 1, 'c': [long, None]}, (), dict(), (1, ), True):
        text = code(value)
        assert eval(text) == value and max(map(len, text.splitlines())) <= 120
    assert code(dict(b=1, type='A')) == "dict(type='A', b=1)"


def test_the_scope_of_a_dataset():
    assert read_data(ADE).cfg['_scope_'] == 'mmseg' and len(read_data(ADE).classes) == 150
