"""The metafiles of the shipped configs say what the configs say, and the pages of docs/ what the metafiles say."""
import runpy

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, DiTTransformer2DModel, UNet2DConditionModel
from modelindex.load_model_index import load
from transformers import CLIPTextConfig, CLIPTextModel

from mmdistill.config import read_config
from mmdistill.weights import public
from mmdistill.weights.public import PUBLIC_WEIGHTS, public_weights
from tests.test_shipped_configs import DISTILL, FOLDER, NAMES

ROOT = FOLDER.parent
INDEX = load(str(ROOT / 'mmdistill/.mim/model-index.yml'))
MODELS = {model.name: model for model in INDEX.models}
RESULTS = '\n'.join(path.read_text() for path in (ROOT / 'README.md', *(ROOT / 'docs/results').iterdir()))


def test_the_index_has_no_error():
    assert INDEX.check(silent=True) == []
    assert {model.in_collection for model in INDEX.models} <= {collection.name for collection in INDEX.collections}


def test_every_distillation_config_is_listed_once():
    shipped = sorted(f'configs/{name}' for name in NAMES if name.split('/')[0] in DISTILL)
    assert sorted(model.config for model in INDEX.models) == shipped
    for folder in DISTILL:  # each in the metafile of its folder
        models = load(str(FOLDER / folder / 'metafile.yml')).models
        assert {model.config.split('/')[1] for model in models} == {folder}


def hook(cfg, key):
    """The first setting of this name of the config's hooks, and None."""
    return next((part[key] for part in cfg.custom_hooks if part.get(key) is not None), None)


def licence_of(address):
    if address.startswith('mmdistill://'):
        return 'Apache-2.0'
    if address.endswith('/export'):
        return "yours, TAESD's part MIT"
    return (public_weights(address) or public.FREESTYLENET).licence


@pytest.mark.parametrize('name', MODELS)
def test_an_entry_says_what_the_config_says(name):
    model = MODELS[name]
    about, cfg = model.metadata.data, read_config(name)
    generator = cfg.model.generator
    assert model.config.endswith(f'/{name}.py') and name == name.lower()  # mim looks names up in lower case
    assert model.in_collection == ('Unguided' if name.startswith('unguided') else cfg.test_cfg.method)
    assert model.data['Weights'] == [
        generator[key] for key in ('weights', 'unet', 'vae', 'controlnet', 'guidance_vae') if generator.get(key)]
    assert about['License'] == [licence_of(address) for address in model.data['Weights']]
    trained = [address for address in model.data['Weights'] if address.endswith('/export')]
    assert about.get('Trained By') == (f'configs/generators/{trained[0].split("/")[1]}.py' if trained else None)
    size = generator.get('image_size', 64)
    height, width = (size, size) if isinstance(size, int) else size
    assert about['Image Size'] == f'{width}x{height}'
    segmentor, encoder, selector = (hook(cfg, key) for key in ('segmentor', 'encoder', 'selector'))
    assert about.get('Guide') == (segmentor and (segmentor.get('checkpoint') or segmentor.config))
    assert about.get('Encoder') == (encoder and (encoder.get('config') or encoder.vae))
    images = f'({selector.budget:.0%})'.replace('%', ' %') if selector else f'{hook(cfg, "ipc")} per class'
    assert str(about['Images']).endswith(images)


@pytest.mark.parametrize('name', [name for name, model in MODELS.items() if model.results])
def test_results_are_those_of_the_pages(name):
    for result in MODELS[name].results:
        assert result.dataset == MODELS[name].metadata.data['Training Data']
        for metric, value in result.metrics.items():
            if not metric.endswith(' std'):
                assert f'{value} ± {result.metrics[f"{metric} std"]}' in RESULTS, (name, metric)


def test_the_page_of_configs_is_made_of_the_metafiles():
    page = runpy.run_path(str(ROOT / 'docs/tables.py'))['page']()
    assert page == (ROOT / 'docs/configs.md').read_text(), 'python docs/tables.py'
    assert all(f'[`{name}`](../{model.config})' in page for name, model in MODELS.items())


def test_other_pages_give_the_same_licences():
    text = (ROOT / 'docs/generators.md').read_text()
    for row, known in (('sd15-controlnet-seg', (public.SD15, public.CONTROLNET_SEG, public.CONTROLNETPP)),
                       ('freestylenet', (public.SD14, public.FREESTYLENET)), ('dit-xl2', (public.DIT, )),
                       ('d4m_sd15', (public.SD15, ))):
        line = next(line for line in text.splitlines() if line.startswith('|') and f'/{row}.py' in line)
        assert all(weights.licence in line for weights in known), row
    sizes = [weights.size.split(' of ')[0] for weights in PUBLIC_WEIGHTS]
    assert all(size in text for size in sizes if size != '1.4 GB') and '5.7 GB' in text  # with Stable Diffusion


CLIP = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
NETWORKS = dict(
    unet=lambda: UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8),
    text=lambda: CLIPTextModel(CLIPTextConfig(**CLIP)),
    vae=lambda: AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), down_block_types=('DownEncoderBlock2D', ) * 4,
        up_block_types=('UpDecoderBlock2D', ) * 4, layers_per_block=2, latent_channels=4),
    control=lambda: ControlNetModel(cross_attention_dim=768), dit=lambda: DiTTransformer2DModel(
        sample_size=32, out_channels=8), taesd=AutoencoderTiny)


@pytest.mark.parametrize('weights, networks', [
    (public.SD15, ('unet', 'text', 'vae')), (public.SD14, ('text', 'vae')), (public.CONTROLNET_SEG, ('control', )),
    (public.CONTROLNETPP, ('control', )), (public.FREESTYLENET, ('unet', )), (public.DIT, ('dit', 'vae')),
    (public.TAESD, ('taesd', ))])
def test_sizes_are_those_of_the_networks_in_float32(weights, networks):
    with torch.device('meta'):
        count = sum(p.numel() for name in networks for p in NETWORKS[name]().parameters())
    size, unit = weights.size.split()[:2]
    assert 4 * count / dict(GB=1e9, MB=1e6)[unit] == pytest.approx(float(size), rel=0.04)
