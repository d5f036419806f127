"""The shipped configs: their names, their heads, and that a config outside the repository can inherit each of them."""
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, PARAM_SCHEDULERS, TRANSFORMS, DefaultScope

from mmdistill.config import merge_options, read_config
from mmdistill.engine.check import check_run
from mmdistill.errors import DistillError
from mmdistill.evaluation.comparison import check_comparison
from mmdistill.evaluation.protocols import load_protocol

FOLDER = Path(__file__).resolve().parents[1] / 'configs'
NAMES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob('*.py') if path.parts[-2] != '_base_'
               and '_base_' not in path.relative_to(FOLDER).parts)
# Networks alone; everything else can be run.
NETWORKS = ['convnet6_224px', 'convnet6_64px', 'resnet101_224px', 'resnet18-in_224px', 'resnet18_224px',
            'resnet50_224px', 'resnetap10_224px', 'resnetap10_64px']
DISTILL = ('cgs', 'coda', 'd3s2', 'd4m', 'dap', 'ddoq', 'dmgd', 'mgd3', 'quickstart', 's3')
OURS = ('Distiller', 'ClassDiffusion', 'DecoderTrainer', 'LayoutDiffusion')  # are built with weights


def test_no_two_share_a_default_work_dir():
    assert len(NAMES) > 60
    assert not [stem for stem, count in Counter(Path(name).stem for name in NAMES).items() if count > 1]


@pytest.mark.parametrize('name', NAMES)
def test_heads_have_the_command(name):
    text = (FOLDER / name).read_text()
    head = text[:text.index('\n_base_' if '\n_base_' in text else '\nmodel')]
    assert '{{$' not in text and all(line.startswith('#') for line in head.splitlines())
    folder = name.split('/')[0]
    command = 'distill' if folder in DISTILL else 'evaluate' if folder == 'evaluation' else 'train'
    assert (f'mmdistill::{name}' if Path(name).stem in NETWORKS else f'mmdistill {command} configs/{name}') in head


def plain(part):
    if isinstance(part, dict):
        return {key: plain(value) for key, value in part.items() if key != '_scope_'}
    return type(part)(map(plain, part)) if isinstance(part, (list, tuple)) else part


def members(cfg, key):
    return [part for part in (cfg.get(key) if isinstance(cfg.get(key), list) else [cfg.get(key)]) if part]


def datasets(cfg):
    """Every dataset, and those inside others."""
    found = [cfg.get(key) for key in ('train_dataset', 'val_dataset', 'test_dataset')]
    found += [loader.dataset for loader in map(cfg.get, (
        'train_dataloader', 'val_dataloader', 'test_dataloader')) if loader and 'dataset' in loader]
    found += [cfg.get('labels', {}).get('dataset')]
    return [part for dataset in found if dataset for part in (dataset, dataset.get('dataset')) if part]


def parts(cfg):
    """A config as MMEngine reads it, without data and weights, as comparable values."""
    made = []
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdistill')):
        for dataset in datasets(cfg):
            with DATASETS.switch_scope_and_registry(dataset.get('_scope_')) as registry:
                made += [registry.get(dataset.type)]
                made += [repr(TRANSFORMS.build(dict(step))) for step in dataset.get('pipeline', [])]
        for hook in members(cfg, 'custom_hooks') + list(filter(None, (cfg.get('default_hooks') or {}).values())):
            with HOOKS.switch_scope_and_registry(hook.get('_scope_')) as registry:
                made += [registry.get(hook.type)]
        made += [type(METRICS.build(dict(metric))) for key in ('val_evaluator', 'test_evaluator')
                 for metric in members(cfg, key)]
        made += [repr(MODELS.build(dict(cfg.data_preprocessor)))] if cfg.get('data_preprocessor') else []
        if cfg.get('model') and cfg.model.type not in OURS:
            model = MODELS.build(cfg.model)
            made += [type(model), {key: value.shape for key, value in model.state_dict().items()}]
        optimizer = OptimWrapper(torch.optim.SGD([torch.zeros(1)], lr=1))
        for scheduler in members(cfg, 'param_scheduler'):
            built = PARAM_SCHEDULERS.build(dict(scheduler), default_args=dict(optimizer=optimizer))
            made += [type(built), built.begin, built.end]
        # A config that inherits this one may put single steps into a pipeline of its own.
        made += [repr(TRANSFORMS.build(dict(step))) for key in ('load_pipeline', 'train_pipeline', 'test_pipeline')
                 for step in cfg.get(key, [])]
    assert None not in made
    return made


@pytest.mark.parametrize('name', NAMES)
def test_a_config_anywhere_can_inherit_it(name, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['mmdistill::{name}']\n")
    direct, inherited = read_config(str(FOLDER / name)), read_config(str(child))
    assert plain(inherited.to_dict()) == plain(direct.to_dict())
    assert parts(inherited) == parts(direct)


@pytest.mark.parametrize('name', [name for name in NAMES if name.split('/')[0] in DISTILL])
def test_runs_pass_their_checks(name, tmp_path, monkeypatch):
    """Only weights that the user has to train or convert first may be missing."""
    monkeypatch.chdir(tmp_path)
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['mmdistill::{name}']\n")
    for path in (FOLDER / name, child):
        try:
            check_run(read_config(str(path)))
        except DistillError as error:
            assert re.search(r'^model\.generator\.(weights|unet): no weights at work_dirs/', str(error)), error


@pytest.mark.parametrize('name', [name for name in NAMES if name.split('/')[0] == 'evaluation'])
def test_comparisons_pass_their_checks(name):
    """Except for the sets and the weights, which the user has to make first."""
    cfg = read_config(str(FOLDER / name))
    try:
        check_comparison(cfg)
    except DistillError as error:
        assert re.search("='?work_dirs/[^ ]*: there is no such file|mmdistill.benchmarks", str(error)), error
    for spec in cfg.training_sets.values():  # each distilled set has a config that makes it
        roots = spec.get('data_root', [])
        for root in [roots] if isinstance(roots, str) else roots:
            assert Path(root).parts[0] == 'work_dirs'


FLAGSHIPS = {
    'ade20k': ('segformer', 'mask2former_swin-l', dict(
        controlnet='limingcv/reward_controlnet/checkpoints/ade20k_reward-model-UperNet-R50/checkpoint-5000/controlnet',
        names='ade20k', palette=None)),
    'coco-stuff164k': ('pspnet', 'deeplabv3_r101', dict(
        controlnet='limingcv/reward_controlnet/checkpoints/cocostuff/reward_5k', names='coco_stuff',
        palette='coco_panoptic')),
    'coco-stuff10k': ('pspnet', 'deeplabv3_r101', dict(
        controlnet='limingcv/reward_controlnet/checkpoints/cocostuff/reward_5k', names='coco_stuff',
        palette='coco_panoptic'))}


@pytest.mark.parametrize('data', FLAGSHIPS)
def test_d3s2_at_the_papers_size(data):
    """Generators, guides and comparisons of one dataset go together: its weights, its names, its judge."""
    guide, judge, expected = FLAGSHIPS[data]
    control, freestyle = (read_config(str(FOLDER / f'd3s2/d3s2_{name}_1p_{data}-512x512.py'))
                          for name in ('sd15-controlnetpp', 'freestylenet'))
    for cfg in control, freestyle:
        select, guidance, _ = cfg.custom_hooks
        assert select.selector.budget == 0.01 and guidance.segmentor.config.startswith(guide)
        assert data in guidance.segmentor.config
        assert cfg.test_cfg.writer == dict(type='SegWriter', layout=data.replace('-', '_'))
    found = control.model.generator
    assert (found.controlnet, found.get('palette')) == (expected['controlnet'], expected['palette'])
    assert (found.scheduler, found.num_steps, found.cfg_scale, found.negative_prompt) == (
        'UniPCMultistepScheduler', 20, 7.5, 'worst quality, low quality')
    found = freestyle.model.generator
    assert (found.names, found.num_steps, found.cfg_scale) == (expected['names'], 50, 2.0)
    assert found.scheduler == dict(type='DDIMScheduler', steps_offset=1, set_alpha_to_one=False)
    comparison, = (read_config(str(FOLDER / name)) for name in NAMES
                   if name.startswith('evaluation/mmseg_m2f') and f'_1p_{data}-' in name)
    assert comparison.budget == 0.01 and comparison.judge.config.startswith(judge)
    made = f'work_dirs/d3s2_sd15-controlnetpp_1p_{data}-512x512/distilled'
    assert comparison.training_sets.distilled.data_root == made
    protocol = load_protocol(comparison.protocol)
    assert protocol.train_cfg.max_iters == protocol.protocol.max_iters == 160000
    assert protocol.train_dataloader.batch_size * 8 == 16 == comparison.overrides['train_dataloader.batch_size']


@pytest.mark.parametrize('name', ['students/unet_camvid-256x192.py', 'protocols/idc_hard.py'])
def test_single_steps_of_a_pipeline_can_be_inherited(name, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['mmdistill::{name}']\n"
                     'train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:2], '
                     '_base_.train_pipeline[-1]]))\n')
    assert parts(read_config(str(child)))


@pytest.mark.parametrize('name', NAMES)
def test_data_root_reaches_all_data(name):
    cfg = read_config(str(FOLDER / name))
    if 'data_root' not in cfg:
        assert all('data_root' not in dataset for dataset in datasets(cfg))  # built in
        return
    merge_options(cfg, dict(data_root='/new'))
    assert {dataset.data_root for dataset in datasets(cfg) if 'data_root' in dataset} == {'/new'}


@pytest.mark.parametrize('name, hook, key, value', [
    ('dmgd/dmgd_dit-xl2_ipc10_imagenette-256px.py', 'ClassPlanHook', 'ipc', 50),
    ('d4m/d4m_sd15_ipc10_imagenette-512px.py', 'PrototypeHook', 'ipc', 50),
    ('dmgd/dmgd_class-unet_ipc10_imagenette-128px.py', 'GuidedSynthesisHook', 'semantic', None),
    ('d3s2/d3s2_layout-unet_5p_camvid-256x192.py', 'MaskSelectionHook', 'selector.budget', 0.1),
    ('students/convnet4-soft_objects-64px.py', 'OnlineLabelsHook', 'teacher.checkpoint', 'there.pth')])
def test_hooks_are_addressed_by_their_names(name, hook, key, value):
    cfg = read_config(str(FOLDER / name))
    merge_options(cfg, {f'custom_hooks.{hook}.{key}': value})
    found = next(part for part in cfg.custom_hooks if part.type.endswith(hook))
    for part in key.split('.'):
        found = found[part]
    assert found == value


@pytest.mark.parametrize('name', ['d4m/unguided_class-unet_ipc10_imagenette-128px', 'quickstart/dmgd_objects-64px',
                                  'quickstart/unguided_objects-64px', 'mgd3/mgd3_class-unet_ipc10_imagenette-128px',
                                  'cgs/cgs_class-unet_ipc10_objects-64px'])
def test_strength_needs_start_latents(name):
    assert read_config(str(FOLDER / f'{name}.py')).model.generator.get('strength', 1.0) == 1.0
