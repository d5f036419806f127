"""Mistakes in the config of a training: one line that names the key, before anything is read; also in a dry run."""
import copy
import importlib
import re
from contextlib import suppress
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdistill.cli import main
from mmdistill.config import merge_options, read_config
from mmdistill.engine.attempts import attempt, errors_at
from mmdistill.engine.training_checks import check_training
from mmdistill.errors import DistillError
from mmdistill.generation.unets import ClassUNet, LayoutUNet

GENERATOR, STUDENT = 'generators/layout-unet_streets-64x64.py', 'students/unet_streets-64x64.py'
EMA, COSINE = 'custom_hooks.EMAHook', 'param_scheduler.CosineAnnealingLR'

OF_BOTH = [  # settings of MMEngine that the training of a generator and that of a student share
    ({'optim_wrapper.optimizer.lr': 'abc'}, r"optim_wrapper\.optimizer\.lr='abc': "),
    ({'optim_wrapper.optimizer.lr': -1}, r'optim_wrapper\.optimizer\.lr=-1: Invalid learning rate: -1$'),
    ({'optim_wrapper.optimizer.learning_rate': 1}, r'optim_wrapper\.optimizer\.learning_rate: unknown setting of'),
    ({'optim_wrapper.optimizer.betas': 3}, r'optim_wrapper\.optimizer\.betas=3: '),
    ({'optim_wrapper.optimizer': 3}, r'optim_wrapper\.optimizer=3 has to be a dict'),
    ({'optim_wrapper': 3}, r'optim_wrapper=3 has to be a dict'),
    ({'optim_wrapper.type': 'Foo'}, r"optim_wrapper\.type='Foo' is unknown"),
    ({'optim_wrapper.clip_grd': {}}, r'optim_wrapper\.clip_grd: .*did you mean clip_grad\?'),
    ({'optim_wrapper.clip_grad': dict(max_norm='a')}, r'optim_wrapper\.clip_grad: .*'),
    ({'optim_wrapper.clip_grad': dict(max_norm=1, foo=2)}, r'optim_wrapper\.clip_grad\.foo=2: '),
    ({'optim_wrapper.accumulative_counts': 0}, r'optim_wrapper\.accumulative_counts=0: '),
    ({'param_scheduler.LinearLR.end': 'a'}, r"param_scheduler\.LinearLR\.end='a': "),
    ({'param_scheduler.LinearLR.factor': 1}, r'param_scheduler\.LinearLR\.factor: unknown setting of LinearLR'),
    ({'param_scheduler': 3}, 'param_scheduler=3 has to be a list'),
    ({'default_hooks.logger.interval': 'a'}, r"default_hooks\.logger\.interval='a' has to be a whole number"),
    ({'default_hooks.logger.interval': 0}, r'default_hooks\.logger\.interval=0: interval must be greater than 0'),
    ({'default_hooks.checkpoint.intervall': 3}, r'default_hooks\.checkpoint\.intervall: .*did you mean interval\?'),
    ({'default_hooks.checkpoint': 3}, r'default_hooks\.checkpoint=3 has to be a dict'),
    ({'default_hooks': 3}, 'default_hooks=3 has to be a dict'),
    ({'custom_hooks': 3}, 'custom_hooks: give it a list'),
    ({'log_level': 'LOUD'}, r"log_level='LOUD' has to be 'CRITICAL' or "),
    ({'env_cfg.dist_cfg.timeout': 'a'}, r"env_cfg\.dist_cfg\.timeout='a' has to be a whole number"),
    ({'visualizer.type': 'Foo'}, r"visualizer\.type='Foo' is unknown"),
    ({'visualizer.vis_backends': 3}, r'visualizer\.vis_backends=3 has to be a list'),
    ({'visualizer.vis_backends.0.type': 'Foo'}, r"visualizer\.vis_backends\.Foo\.type='Foo' is unknown"),
    ({'train_cfg.val_interval': 0}, r'train_cfg\.val_interval=0 is out of range: it has to be at least 1'),
    ({'train_cfg.max_iters': 0}, r'train_cfg\.max_iters=0 is out of range: it has to be at least 1'),
    ({'train_dataloader': 3}, 'train_dataloader=3 has to be a dict'),
    ({'train_dataloader.bath_size': 3}, r'train_dataloader\.bath_size: .*did you mean batch_size\?'),
    ({'train_dataloader.num_workers': 'a'}, r"train_dataloader\.num_workers='a' has to be a whole number"),
    ({'train_dataloader.sampler.type': 'Foo'}, r"train_dataloader\.sampler\.type='Foo' is unknown"),
    ({'train_dataloader.persistent_workers': True}, r'train_dataloader\.persistent_workers=True: .*num_workers > 0'),
    ({'val_dataloader.bath_size': 3}, r'val_dataloader\.bath_size: .*did you mean batch_size\?'),
    ({'val_evaluator.type': 'mIoU'}, r"val_evaluator\.type='mIoU' is unknown"),
    ({'val_evaluator': 3}, 'val_evaluator=3 has to be a metric'),
    ({'val_cfg.type': 'Foo'}, r"val_cfg\.type='Foo' is unknown"),
]
OF_THE_GENERATOR = [
    ({f'{EMA}.momentm': .5}, r'custom_hooks\.EMAHook\.momentm: .*did you mean momentum\?'),
    ({f'{EMA}.momentum': 5}, r'custom_hooks\.EMAHook\.momentum=5: momentum must be in range'),
    ({f'{EMA}.ema_type': 'Foo'}, r"custom_hooks\.EMAHook\.ema_type='Foo': Foo is not in the .* registry: check"),
    ({f'{EMA}.priority': 'Foo'}, r"custom_hooks\.EMAHook\.priority='Foo': "),
    ({'train_cfg.max_iters': 50, f'{COSINE}.end': None},
     r'param_scheduler\.CosineAnnealingLR\.begin=100, but train_cfg\.max_iters=50: decr'),
    ({f'{COSINE}.end': 50}, r'param_scheduler\.CosineAnnealingLR: end should be larger .* begin=100, end=50$'),
]


@pytest.mark.parametrize(
    'config, options, error', [(config, *case) for config in (GENERATOR, STUDENT) for case in OF_BOTH] +
    [(GENERATOR, *case) for case in OF_THE_GENERATOR], ids=lambda value: next(iter(value)) if isinstance(
        value, dict) else '')
def test_mistakes(config, options, error):
    cfg = read_config(f'mmdistill::{config}')
    merge_options(cfg, options)
    with pytest.raises(DistillError, match=f'^{error}') as raised:
        check_training(cfg, 'x.py')
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('config', [
    f'mmdistill::{GENERATOR}', f'mmdistill::{STUDENT}', 'mmdistill::students/convnet4_objects-64px.py',
    'mmdistill::students/mask2former_swin-s_4xb2-40k_coco-stuff10k-512x512.py',
    'mmseg::deeplabv3/deeplabv3_r101-d8_4xb2-amp-80k_cityscapes-512x1024.py',  # float16 needs a GPU, the check none
    'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py',
    'mmpretrain::resnet/resnet50_8xb32-coslr_in1k.py'])
def test_stock_configs_pass_and_are_not_changed(config):
    cfg = read_config(config)
    before = copy.deepcopy(cfg.to_dict())
    check_training(cfg, 'x.py')
    assert cfg.to_dict() == before


@pytest.mark.parametrize('option, error', [
    ('optim_wrapper.optimizer.lr=abc', r"optim_wrapper\.optimizer\.lr='abc': .*"),
    ('model.unet.block_out_channels=[]', r'model\.unet\.block_out_channels=\[\]: give at least one number, each .* 16'),
    ('model.unet.block_out_channels=[5,7]', r'model\.unet\.block_out_channels=\[5, 7\]: .* a multiple of 16'),
    ('model.unet.attention_levels=9', r'model\.unet\.attention_levels=9: the network has 3 levels .*'),
    ('model.foo=9', 'model: .*foo.*'),
    ('log_processor.foo=9', 'log_processor: .*foo.*')])
def test_a_dry_run_says_it_in_one_line(root, tmp_path, option, error):
    with pytest.raises(SystemExit) as end:
        main(['train', str(root / 'configs' / GENERATOR), '--work-dir', str(tmp_path / 'work'), '--dry-run',
              '--cfg-options', 'model.vae=mmdistill://streets', 'train_dataloader.dataset.num_scenes=4', option])
    assert re.fullmatch(f'error: {error}', str(end.value.code))


@pytest.mark.parametrize('network, settings', [(LayoutUNet, dict(layout_factor=4)), (ClassUNet, {})])
@pytest.mark.parametrize('channels, levels', [([], 0), ([16, 24], 1), ([0], 0), ([32], 2), ([32], -1)])
def test_channels_of_a_denoiser(network, settings, channels, levels):
    with pytest.raises(DistillError, match=r'^model\.unet\.(block_out_channels|attention_levels)='):
        network(num_classes=3, latent_channels=4, block_out_channels=channels, attention_levels=levels, **settings)


def test_attempt_names_the_setting():
    def build(settings):
        settings.pop('seen', None)
        return 1 / settings.get('part', {}).get('number', 1) + settings.get('plus', 0)

    settings = dict(seen=1, part=dict(number=0))
    with pytest.raises(DistillError, match=r'^key\.part\.number=0: division by zero$'):
        attempt(build, settings, 'key')
    assert settings == dict(seen=1, part=dict(number=0)) and attempt(build, {}, 'key') == 1
    with pytest.raises(DistillError, match='^key: '):
        attempt(build, dict(part=dict(number=0), plus='a'), 'key')


def test_faults_of_the_machine_are_not_mistakes():
    for fault in (OSError(28, 'No space left on device'), MemoryError()):
        with pytest.raises(type(fault)) as raised, errors_at('model'):
            raise fault
        assert raised.value is fault
    with pytest.raises(DistillError, match='^model: KeyError: a$'), errors_at('model'):
        raise KeyError('a')


def test_a_training_without_validation_passes():
    cfg = read_config(f'mmdistill::{STUDENT}')
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'visualizer', 'param_scheduler', 'default_hooks'):
        cfg.pop(key)
    check_training(Config(cfg.to_dict()), 'x.py')


@pytest.mark.parametrize('package', ['mmseg', 'mmpretrain'])
def test_stock_configs_pass(package):
    """Every 40th training config of the package, except those that MMEngine refuses."""
    importlib.import_module(f'{package}.utils').register_all_modules(init_default_scope=False)
    folder = Path(importlib.import_module(package).__path__[0], '.mim', 'configs')
    paths = [path for path in sorted(folder.rglob('*.py')) if '_base_' not in path.parts]
    trainings = []
    for path in paths[::40]:
        with suppress(DistillError):  # MMEngine cannot read a few of them
            trainings.append(read_config(str(path)))
    trainings = [cfg for cfg in trainings if cfg.get('train_cfg') and cfg.get('optim_wrapper')]
    assert len(trainings) >= 10
    trainings = [cfg for cfg in trainings if cfg.get('val_cfg') is None or cfg.get('val_dataloader') is not None]
    for cfg in trainings:
        check_training(cfg, cfg.filename)
