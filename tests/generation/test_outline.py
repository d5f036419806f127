"""Generators without weights: the same networks and settings as loaded ones."""
import json
import shutil

import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation import ControlNetGenerator, Img2ImgGenerator, LayoutUNetGenerator
from mmdistill.generation.counting import parameter_bytes
from mmdistill.generation.outline import network_of, outline
from mmdistill.weights.hub import known_configs

SOLVER = 'DPMSolverMultistepScheduler'
COLOURS = [(i, 0, 0) for i in range(5)]


def cases(sd_folder, layout_folder, classes):
    sd = dict(weights=str(sd_folder), num_steps=4, micro_batch=3)
    return [
        (LayoutUNetGenerator, dict(weights=str(layout_folder), image_size=32, scheduler=SOLVER)),
        (Img2ImgGenerator, dict(sd, scheduler='DDIMScheduler', dtype='bfloat16')),
        (ControlNetGenerator, dict(sd, controlnet=str(sd_folder / 'colours'), classes=classes, palette=COLOURS,
                                   scheduler=SOLVER, guidance_vae=str(sd_folder / 'vae')))]


@pytest.mark.parametrize('index', range(3))
def test_an_outline_has_the_networks_of_the_loaded_generator(sd_folder, layout_folder, classes, index):
    cls, settings = cases(sd_folder, layout_folder, classes)[index]
    drawn, loaded = outline(cls, dict(settings, type=cls.__name__, compile=True)), cls.from_pretrained(**settings)
    assert {p.device.type for p in drawn.denoiser.parameters()} == {'meta'} and drawn.sources == {}
    for name in ('vae', 'guide_vae', 'denoiser'):
        networks = getattr(drawn, name), getattr(loaded, name)
        shapes = [{key: (value.shape, value.dtype) for key, value in network.state_dict().items()}
                  for network in networks]
        assert shapes[0] == shapes[1] and not any(p.requires_grad for p in networks[0].parameters())
        assert parameter_bytes([networks[0]]) == parameter_bytes([networks[1]])
    for key in ('image_size', 'latent_shape', 'micro_batch', 'dtype', 'strength', 'num_classes'):
        assert getattr(drawn, key) == getattr(loaded, key)
    if hasattr(drawn, 'prompts'):
        assert parameter_bytes([drawn.prompts.text_encoder]) == parameter_bytes([loaded.prompts.text_encoder])
        assert drawn.prompts('any').shape == loaded.prompts('any').shape


def test_only_configs_are_read(sd_folder, tmp_path):
    ignored = shutil.ignore_patterns('*.safetensors', '*.bin')
    shutil.copytree(sd_folder, tmp_path / 'sd', ignore=ignored)
    drawn = outline(Img2ImgGenerator, dict(weights=str(tmp_path / 'sd'), scheduler='DDIMScheduler'))
    assert drawn.num_steps == 50


def test_a_dit_by_the_name_of_older_versions(tmp_path):
    config = dict(_class_name='Transformer2DModel', _diffusers_version='0.12.0.dev0', norm_type='ada_norm_zero',
                  num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2,
                  sample_size=8, patch_size=2, num_embeds_ada_norm=10, only_cross_attention=False)
    (tmp_path / 'config.json').write_text(json.dumps(config))
    assert type(network_of(tmp_path, torch.bfloat16)).__name__ == 'DiTTransformer2DModel'


def test_networks_without_an_outline(sd_folder, tmp_path):
    class Other(Img2ImgGenerator):
        def __init__(self, vae, unet, extra, scheduler, *, num_steps: int = 5):
            pass

    settings = dict(weights=str(sd_folder), scheduler='DDIMScheduler')
    with pytest.raises(DistillError, match='takes a module extra'):
        outline(Other, settings)
    with pytest.raises(DistillError, match='dict is not a LatentGenerator'):
        outline(dict, {})
    with pytest.raises(DistillError, match='somebody/something are not in the local cache of the hub'):
        known_configs('somebody/something')
    (tmp_path / 'config.json').write_text('{"_class_name": "Nothing"}')
    with pytest.raises(DistillError, match='holds Nothing'):
        network_of(tmp_path, torch.float32)


def test_the_hubs_cache_is_read_and_nothing_is_fetched(sd_folder, tmp_path, monkeypatch):
    from huggingface_hub import constants
    snapshot = tmp_path / 'models--owner--name/snapshots/' / ('a' * 40)
    shutil.copytree(sd_folder, snapshot, ignore=shutil.ignore_patterns('*.safetensors'))
    (tmp_path / 'models--owner--name/refs').mkdir()
    (tmp_path / 'models--owner--name/refs/main').write_text('a' * 40)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    assert known_configs('owner/name') == snapshot
    assert outline(Img2ImgGenerator, dict(weights='owner/name', scheduler='DDIMScheduler')).num_steps == 50
