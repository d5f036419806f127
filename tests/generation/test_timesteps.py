"""DiT's timestep embedding: frequencies exp(-ln(10000) k / h), cosine first; diffusers divides by h - 1."""
import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiTTransformer2DModel
from torch import nn

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator
from mmdistill.generation.timesteps import trained_shift
from mmdistill.generation.unets import ClassUNet
from mmdistill.guidance import Guidance
from mmdistill.plan import Request

STEPS, CFG = 5, 3.0
REQUESTS = [Request(f'c/{n}', 20 + n, classes=(n, )) for n in range(3)]
FORMER = dict(_class_name='Transformer2DModel', _diffusers_version='0.12.0.dev0')


@pytest.fixture(scope='module')
def own(tmp_path_factory, sd_folder):
    """A DiT of 3 classes as diffusers saves it; its blocks share their embedding's values."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('dit')
    dit = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
                                num_layers=3, sample_size=8, patch_size=2, num_embeds_ada_norm=3)
    for parameter in dit.parameters():
        nn.init.normal_(parameter, std=0.2)
    for block in dit.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(dit.transformer_blocks[0].norm1.emb.state_dict())
    dit.save_pretrained(folder / 'transformer')
    DDIMScheduler(clip_sample=False).save_pretrained(folder / 'scheduler')
    shutil.copytree(sd_folder / 'vae', folder / 'vae')
    return folder


@pytest.fixture
def saved(own, tmp_path):
    """``saved(key=value)``: the folder with these in the network's config."""

    def save(**changes):
        folder = shutil.copytree(own, tmp_path / f'form{len(list(tmp_path.iterdir()))}')
        file = folder / 'transformer' / 'config.json'
        file.write_text(json.dumps(dict(json.loads(file.read_text()), **changes)))
        return folder

    return save


def build(folder, **settings):
    return ClassConditionalGenerator.from_pretrained(
        str(folder), **dict(dict(num_steps=STEPS, cfg_scale=CFG, micro_batch=3), **settings))


def sinusoids(t, shift, width=256):
    """The published formula (shift 0) in float64: (B,) → (B, width)."""
    half = width // 2
    angles = np.asarray(t, np.float64)[:, None] * np.exp(-np.log(10000) * np.arange(half) / (half - shift))
    return np.concatenate([np.cos(angles), np.sin(angles)], 1)


class Sinusoids(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, t):
        return torch.from_numpy(sinusoids(t.numpy(), self.shift))


def conditioning(emb, t, labels, shift):
    """The embedding of timesteps and labels of one block, in float64."""
    tensors = {name: value.double().numpy() for name, value in emb.state_dict().items()}
    first, second = ((tensors[f'timestep_embedder.linear_{n}.weight'], tensors[f'timestep_embedder.linear_{n}.bias'])
                     for n in (1, 2))
    hidden = sinusoids(t, shift) @ first[0].T + first[1]
    table = next(value for name, value in tensors.items() if name.endswith(('embedding_table.weight', 'table.weight')))
    return hidden / (1 + np.exp(-hidden)) @ second[0].T + second[1] + table[labels]


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('dtype, tolerance', [('float32', 2e-4), ('bfloat16', 0.06)])
@pytest.mark.parametrize('changes, shift', [(FORMER, 0), ({}, 1)])
def test_every_block_has_the_embedding_of_its_training(saved, changes, shift, dtype, tolerance, soft):
    """Of labels and, for semantic matching, of embeddings; the last layer reads the first block's."""
    generator = build(saved(**changes), dtype=dtype)
    if soft:
        generator.class_embeddings()
    t, labels = torch.tensor([999, 500, 21, 0]), torch.tensor([0, 3, 2, 1])
    for block in generator.denoiser.network.transformer_blocks:
        emb = block.norm1.emb
        np.testing.assert_allclose(emb.time_proj(t), sinusoids(t, shift), atol=1.2e-4)
        given = emb.table(labels).float() if soft else labels
        made = emb(t, given, hidden_dtype=generator.dtype).float().numpy()
        expected = conditioning(emb, t, labels, shift)
        other = conditioning(emb, t, labels, 1 - shift)
        scale = np.linalg.norm(expected)
        assert np.linalg.norm(made - expected) < tolerance * scale < np.linalg.norm(other - expected) / 3


def ddim(folder, shift):
    """Latents of the requests by DDIM in float64, from the formulas of arXiv 2010.02502 and 2207.12598."""
    network = DiTTransformer2DModel.from_pretrained(folder / 'transformer').double().eval()
    for block in network.transformer_blocks:
        block.norm1.emb.time_proj = Sinusoids(shift)
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    stride = 1000 // STEPS
    x = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(r.seed)) for r in REQUESTS]).double()
    for t in range(1000 - stride, -1, -stride):
        with torch.no_grad():
            null, cond = (network(x, torch.full((3, ), t), torch.tensor(labels)).sample[:, :4]
                          for labels in ([3, 3, 3], [0, 1, 2]))
        noise = null + CFG * (cond - null)
        clean = (x - np.sqrt(1 - kept[t]) * noise) / np.sqrt(kept[t])
        before = kept[t - stride] if t else 1.0
        x = np.sqrt(before) * clean + np.sqrt(1 - before) * noise
    return x


def latents(generator, **settings):
    return torch.stack([made.latents for made in generator.synthesize(REQUESTS, **settings)]).double()


@pytest.mark.parametrize('changes, settings, shift', [
    (FORMER, {}, 0),  # as the public weights lie on the hub
    (dict(FORMER, _diffusers_version='0.27.2'), {}, 0),  # loaded and saved again with an older diffusers
    (dict(_diffusers_version='0.12.0.dev0'), {}, 0),  # the name was brought up to date by hand
    ({}, {}, 1), (dict(_diffusers_version='0.29.0'), {}, 1), (dict(_diffusers_version=None), {}, 1),
    ({}, dict(timestep_shift=0), 0),  # loaded and saved again with a newer diffusers
    (FORMER, dict(timestep_shift=1), 1),  # trained with an older diffusers
    (FORMER, dict(compile=dict(backend='eager', fullgraph=True)), 0)])
def test_samples_use_the_timestep_embedding_of_the_training(saved, caplog, changes, settings, shift):
    folder = saved(**changes)
    generator = build(folder, **settings)
    right, wrong = ddim(folder, shift), ddim(folder, 1 - shift)
    made = latents(generator)
    assert (made - right).norm() < 2e-4 * right.norm() < (wrong - right).norm() / 50
    assert generator.describe()['timestep_shift'] == shift
    assert ('timestep embedding with shift 0' in caplog.text) == (shift == 0)
    soft = Guidance([], semantic=lambda condition, t: generator.embed(condition))
    assert torch.equal(latents(generator, guidance=soft), made)


def test_the_constructor_leaves_a_network_as_it_is(own):
    network = build(own, timestep_shift=0).denoiser.network
    parts = dict(vae=build(own).vae, scheduler=DDIMScheduler(clip_sample=False))
    made = lambda **settings: ClassConditionalGenerator(network=network, **parts, **settings)  # noqa: E731
    assert made().describe()['timestep_shift'] == 0
    assert made(timestep_shift=1).describe()['timestep_shift'] == made().describe()['timestep_shift'] == 1


@pytest.mark.parametrize('config, shift', [
    (FORMER, 0), (dict(FORMER, _diffusers_version='0.33.1'), 0), (dict(_class_name='Transformer2DModel'), 0),
    (dict(_class_name='DiTTransformer2DModel', _diffusers_version='0.28.0'), 0),
    (dict(_class_name='DiTTransformer2DModel', _diffusers_version='0.39.0'), 1),
    (dict(_class_name='DiTTransformer2DModel', _diffusers_version='1.0.0'), 1),
    (dict(_class_name='DiTTransformer2DModel'), 1), (dict(FORMER, timestep_shift=1), 1),
    (dict(_class_name='DiTTransformer2DModel', _diffusers_version='0.39.0', timestep_shift=0), 0)])
def test_the_timestep_shift_of_a_config(config, shift):
    assert trained_shift(config) == shift


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_a_network_that_is_saved_keeps_its_embedding(saved, tmp_path, dtype):
    """Its config has the current class name, and a note."""
    folder = saved(**FORMER)
    generator = build(folder, dtype=dtype)
    again = shutil.copytree(folder, tmp_path / 'again', ignore=shutil.ignore_patterns('transformer'))
    generator.denoiser.network.save_pretrained(again / 'transformer')
    config = json.loads((again / 'transformer' / 'config.json').read_text())
    assert config['_class_name'] == 'DiTTransformer2DModel'
    assert torch.equal(latents(build(again, dtype=dtype)), latents(generator))


def test_wrong_settings(own, tmp_path):
    shutil.copytree(own, tmp_path / 'unet', ignore=shutil.ignore_patterns('transformer'))
    ClassUNet(3, 4, 8, block_out_channels=(16, 32)).save_pretrained(tmp_path / 'unet' / 'unet')
    settings = dict(weights=str(tmp_path / 'unet'), timestep_shift=0)
    for refuse in (lambda: ClassConditionalGenerator.check_weights(settings, 'g'),
                   lambda: build(tmp_path / 'unet', timestep_shift=0)):
        with pytest.raises(DistillError, match='timestep_shift=0 is a setting of a DiT.*ClassUNet: leave it out'):
            refuse()
    assert 'timestep_shift' not in build(tmp_path / 'unet').describe()
    ClassConditionalGenerator.check_weights(dict(weights=str(own), timestep_shift=0), 'g')
    for value in (2, 0.5, True, '0'):
        with pytest.raises(DistillError, match='timestep_shift'):
            build(own, timestep_shift=value)
