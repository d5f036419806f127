"""Checks of weights before they are loaded."""
import shutil

import pytest

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator, ControlNetGenerator, Img2ImgGenerator, LayoutUNetGenerator
from mmdistill.weights.address import builtin
from mmdistill.weights.hub import check_weights


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr('huggingface_hub.snapshot_download', lambda *a, **k: pytest.fail('asked the hub'))


def test_builtin_names():
    assert check_weights('mmdistill://streets', ('unet', 'vae', 'scheduler'), 'weights').name == 'streets'
    for name in ('mmdistill://street', 'mmdistill://streets/segmenter'):
        with pytest.raises(DistillError, match='no built-in weights at .*did you mean mmdistill://streets'):
            builtin(name)


def test_weights_that_are_there():
    LayoutUNetGenerator.check_weights(dict(weights='mmdistill://streets', guidance_vae='mmdistill://streets'), 'model')
    ClassConditionalGenerator.check_weights(dict(weights='mmdistill://objects', num_steps=20), 'model')
    Img2ImgGenerator.check_weights(dict(weights='someone/sd', guidance_vae='madebyollin/taesd'), 'model')


@pytest.mark.parametrize('key', ['vae', 'guidance_vae'])
def test_an_autoencoder_of_other_latents(key):
    with pytest.raises(DistillError, match=f"g.{key}='mmdistill://objects' has latents of .* and the generator needs "
                       '12 channels at 1/4 of the size of the image: give an autoencoder of the same latents, or None'):
        LayoutUNetGenerator.check_weights({'weights': 'mmdistill://streets', key: 'mmdistill://objects'}, 'g')


def test_complete_folders(sd_folder):
    settings = dict(weights=str(sd_folder), controlnet=str(sd_folder / 'colours'), scheduler='DDIMScheduler')
    ControlNetGenerator.check_weights(settings, 'model')
    Img2ImgGenerator.check_weights(dict(weights=str(sd_folder), scheduler='DDIMScheduler', guidance_vae=str(
        sd_folder / 'vae')), 'model')


@pytest.mark.parametrize('changes,message', [
    (dict(weights='/no/where'), 'g.weights: no weights at /no/where'),
    (dict(weights='mmdistill://stret'), 'g.weights: no built-in weights .*did you mean mmdistill://streets'),
    (dict(controlnet='./nowhere'), 'g.controlnet: no weights at ./nowhere'),
    (dict(controlnet='{}'), 'g.controlnet=.*no config.json in'),
    (dict(guidance_vae='{}/tokenizer'), 'g.guidance_vae=.*no config.json in'),
    (dict(vae='{}/tokenizer'), 'g.vae=.*no config.json in'),
    (dict(unet='{}/tokenizer'), 'g.unet=.*no config.json in'),
    (dict(scheduler=None), 'PNDMScheduler cannot be guided'),
    (dict(scheduler=dict(type='DDIMScheduler', clip_sample=True)), 'clip_sample=False'),
    (dict(num_steps=1001), r'num_steps=1001 is outside \[1, 1000\]'),
])
def test_missing_weights_name_their_key(sd_folder, changes, message):
    settings = dict(weights=str(sd_folder), controlnet=str(sd_folder / 'colours'), scheduler='DDIMScheduler')
    changes = {key: value.format(sd_folder) if isinstance(value, str) else value for key, value in changes.items()}
    with pytest.raises(DistillError, match=message) as raised:
        ControlNetGenerator.check_weights({**settings, **changes}, 'g')
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('missing', [
    'unet/config.json', 'unet/diffusion_pytorch_model.safetensors', 'vae/config.json',
    'scheduler/scheduler_config.json'])
def test_incomplete_folders(tmp_path, missing):
    folder = shutil.copytree(builtin('mmdistill://objects'), tmp_path / 'weights')
    ClassConditionalGenerator.check_weights(dict(weights=str(folder)), 'g')
    (folder / missing).unlink()
    with pytest.raises(DistillError, match=f'g.weights=.*{missing.split("/")[0]}'):
        ClassConditionalGenerator.check_weights(dict(weights=str(folder)), 'g')


def test_a_transformer_replaces_the_unet(tmp_path):
    folder = shutil.copytree(builtin('mmdistill://objects'), tmp_path / 'weights')
    (folder / 'unet').rename(folder / 'transformer')
    ClassConditionalGenerator.check_weights(dict(weights=str(folder)), 'g')
    with pytest.raises(DistillError, match='no config.json in .*unet'):
        LayoutUNetGenerator.check_weights(dict(weights=str(folder)), 'g')
