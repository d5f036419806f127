"""The presets of the released code, and the benchmark that measures their choices."""
import importlib

import numpy as np
import pytest
from diffusers import DDIMScheduler

from mmdistill.config import merge_options, read_config
from mmdistill.engine.check import check_run
from mmdistill.generation import ClassConditionalGenerator
from mmdistill.plan import Request

DMGD, D4M = 'dmgd/dmgd_dit-xl2_ipc10_imagenette-256px', 'd4m/d4m_sd15_ipc10_imagenette-512px'


@pytest.fixture
def released(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / 'benchmarks'))
    return importlib.import_module('released')


def flat(part, place=''):
    """Dotted key → value; members of a list by their types."""
    if isinstance(part, (list, tuple)) and part and all(isinstance(member, dict) for member in part):
        part = {member['type']: member for member in part}
    if not isinstance(part, dict):
        return {place: part}
    return {key: value for name, member in part.items()
            for key, value in flat(member, f'{place}.{name}' if place else name).items()}


def differences(one, other):
    """Dotted key → value in ``one``, for all keys that differ from ``other``, except the variable ``guidance``."""
    other = flat(other)
    return {key: value for key, value in flat(one).items()
            if not key.startswith('guidance.') and (key not in other or other[key] != value)}


def preset(name):
    return differences(read_config(f'mmdistill::{name}_released.py').to_dict(),
                       read_config(f'mmdistill::{name}.py').to_dict())


def test_dmgd_has_all_choices_at_once():
    hook = 'custom_hooks.GuidedSynthesisHook'
    assert preset(DMGD) == {
        'model.generator.cfg_channels': 3, 'model.generator.dtype': 'float32', f'{hook}.semantic.compat': 'released',
        f'{hook}.objectives.TransportMatching.unroll': True}


def test_d4m_has_all_choices_at_once():
    assert preset(D4M) == {
        'model.generator.dtype': 'float16', 'test_cfg.writer.image_format': 'PNG',
        'test_cfg.writer.resample': 'bicubic'}
    cfg = read_config(f'mmdistill::{D4M}_released.py')
    generator = cfg.model.generator
    assert (generator.strength, generator.cfg_scale, generator.num_steps) == (0.7, 8.0, 50)
    assert generator.negative_prompt == 'cartoon, anime, painting'
    assert cfg.test_cfg.writer.size == 224 and cfg.custom_hooks[0].crop is False


@pytest.mark.parametrize('base, ids', [('dmgd_released', True), ('d4m_released', False)])
def test_another_dataset_takes_a_few_lines(tmp_path, base, ids):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['mmdistill::_base_/methods/{base}.py', 'mmdistill::_base_/datasets/imagewoof.py']\n"
                    'test_dataloader = dict(dataset=_base_.train_dataset)\n'
                    + 'model = dict(generator=dict(class_ids=_base_.imagenet_ids))\n' * ids)
    check_run(read_config(str(path)))


def test_all_of_the_benchmark_are_the_presets(released):
    cfg = read_config(released.CONFIG.format('dmgd'))
    default = cfg.to_dict()
    merge_options(cfg, released.CHOICES['DMGD']['all three'])
    found = differences(cfg.to_dict(), default)
    expected = preset(DMGD)
    assert expected.pop('model.generator.dtype') == 'float32'
    assert found == expected


def test_the_loop_by_hand_is_ours(released):
    """With DDIM, which both have."""
    generator = ClassConditionalGenerator.from_pretrained(
        'mmdistill://objects', scheduler='DDIMScheduler', num_steps=10, strength=0.7, cfg_scale=8.0)
    requests = [Request(str(label), label, classes=(label, )) for label in range(3)]
    starts = list(np.random.default_rng(0).standard_normal((3, *generator.latent_shape), np.float32))
    scheduler = DDIMScheduler.from_config(generator.scheduler.config)
    by_hand = released.follow(generator, scheduler, requests, starts, steps=10)
    ours = [made.latents.numpy() for made in generator.synthesize(requests, latents=starts)]
    assert released.distance(ours, by_hand) < 1e-4
    assert released.distance(ours, starts) > 0.1


def test_the_distance_is_the_mean_over_images(released):
    base = [np.array([3.0, 4.0]), np.array([0.0, 2.0])]
    assert released.distance(base, [np.array([3.0, 3.0]), np.array([0.0, 2.0])]) == pytest.approx(0.1)
