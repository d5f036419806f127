"""Weights in all formats of the hub, built from small networks: all load as the same networks."""
import fnmatch
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator, ControlNetGenerator, Img2ImgGenerator
from mmdistill.generation.autoencoders import load_vae
from mmdistill.weights.hub import Weights, check_weights
from .original import controlnet, stable_diffusion, vae

NET = 'diffusion_pytorch_model'
SHA = '0123456789abcdef0123456789abcdef01234567'
SETTINGS = dict(scheduler='DDIMScheduler')
CLASSES = ('road', 'sky', 'car', 'tree', 'sign')


def states(generator):
    networks = dict(unet=getattr(generator.denoiser, 'unet', None) or generator.denoiser.network, vae=generator.vae)
    if hasattr(generator, 'prompts'):
        networks['text_encoder'] = generator.prompts.text_encoder
    if getattr(generator.denoiser, 'controlnet', None):
        networks['controlnet'] = generator.denoiser.controlnet
    return {f'{part}.{name}': value for part, network in networks.items()
            for name, value in network.state_dict().items()}


def same(one, other, tolerance=0):
    one, other = (x if isinstance(x, dict) else states(x) for x in (one, other))
    assert list(one) == list(other)
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=tolerance)


def to_bin(folder):
    """Rewrite the safetensors of a folder as ``.bin``, as on the hub before 2023."""
    for file in list(folder.rglob('*.safetensors')):
        name = 'pytorch_model.bin' if file.name.startswith('model') else file.with_suffix('.bin').name
        torch.save(load_file(file), file.with_name(name))
        file.unlink()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of repositories in a folder; ``hub.asked`` has the files that were fetched."""
    root, cache = tmp_path / 'hub', tmp_path / 'cache'
    self = SimpleNamespace(root=root, asked=[], revisions=[], known=set())

    def repo_info(api, repo, revision=None, **options):
        self.revisions.append(revision)
        if not (root / repo).is_dir():
            raise OSError(f'404: no repository {repo}')
        files = sorted(file.relative_to(root / repo).as_posix() for file in (root / repo).rglob('*') if file.is_file())
        return SimpleNamespace(sha=SHA, siblings=[SimpleNamespace(rfilename=name) for name in files])

    def snapshot_download(repo, revision=None, allow_patterns=None, local_files_only=False):
        target = cache / f'models--{repo.replace("/", "--")}' / 'snapshots' / SHA
        if local_files_only:  # the cache knows a branch by the name that it was fetched under
            if (repo, revision) not in self.known:
                raise OSError('no connection, and nothing in the cache')
            return str(target)
        self.known.add((repo, revision))
        for file in (root / repo).rglob('*'):
            name = file.relative_to(root / repo).as_posix()
            if file.is_file() and any(fnmatch.fnmatch(name, pattern) for pattern in allow_patterns):
                self.asked.append(name)
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target / name)
        return str(target)

    monkeypatch.setattr('huggingface_hub.HfApi.repo_info', repo_info)
    monkeypatch.setattr('huggingface_hub.snapshot_download', snapshot_download)
    return self


@pytest.fixture(scope='session')
def dit_folder(tmp_path_factory):
    """``facebook/DiT-XL-2-256`` as on the hub: the class name of diffusers 0.12, only ``.bin``, and the old names of
    the autoencoder's attention."""
    from diffusers import AutoencoderKL, DDIMScheduler, DiTTransformer2DModel
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp('DiT')
    DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2,
                          sample_size=8, patch_size=2, num_embeds_ada_norm=10).save_pretrained(folder / 'transformer')
    AutoencoderKL(block_out_channels=(16, 16), down_block_types=('DownEncoderBlock2D', ) * 2, norm_num_groups=8,
                  up_block_types=('UpDecoderBlock2D', ) * 2, latent_channels=4).save_pretrained(folder / 'vae')
    DDIMScheduler(clip_sample=False, num_train_timesteps=1000).save_pretrained(folder / 'scheduler')
    (folder / 'model_index.json').write_text(json.dumps(dict(_class_name='DiTPipeline', id2label={})))
    return folder


@pytest.fixture
def old_dit(dit_folder, tmp_path):
    folder = shutil.copytree(dit_folder, tmp_path / 'old')
    file = folder / 'transformer' / 'config.json'
    config = json.loads(file.read_text())
    config.update(_class_name='Transformer2DModel', _diffusers_version='0.12.0.dev0', attention_bias=True,
                  cross_attention_dim=None, double_self_attention=False, only_cross_attention=False,
                  num_vector_embeds=None, use_linear_projection=False, norm_type='ada_norm_zero')
    file.write_text(json.dumps(config))
    file = folder / 'vae' / f'{NET}.safetensors'
    names = {'.to_q.': '.query.', '.to_k.': '.key.', '.to_v.': '.value.', '.to_out.0.': '.proj_attn.'}
    old = {}
    for name, value in load_file(file).items():
        for new, former in names.items():
            name = name.replace(new, former)
        old[name] = value
    assert any('.proj_attn.' in name for name in old)
    save_file(old, file)
    to_bin(folder)
    assert not list(folder.rglob('*.safetensors'))
    return folder


def test_dit_as_on_the_hub(dit_folder, old_dit, hub):
    wanted = ClassConditionalGenerator.from_pretrained(str(dit_folder))
    ClassConditionalGenerator.check_weights(dict(weights=str(old_dit)), 'g')
    same(ClassConditionalGenerator.from_pretrained(str(old_dit)), wanted)
    shutil.copytree(old_dit, hub.root / 'facebook/DiT-XL-2-256')
    fetched = ClassConditionalGenerator.from_pretrained('facebook/DiT-XL-2-256')
    same(fetched, wanted)
    assert sorted(hub.asked) == ['model_index.json', 'scheduler/scheduler_config.json', 'transformer/config.json',
                                 f'transformer/{NET}.bin', 'vae/config.json', f'vae/{NET}.bin']
    source = fetched.describe()['weights']['generator']
    assert source['id'] == 'facebook/DiT-XL-2-256' and source['revision'] == SHA and 'CC-BY-NC' in source['licence']
    assert list(source['sha256']) == [f'transformer/{NET}.bin', f'vae/{NET}.bin']
    assert (fetched.describe()['timestep_shift'], wanted.describe()['timestep_shift']) == (0, 1)


def test_another_network_of_the_old_class_is_refused(old_dit):
    file = old_dit / 'transformer' / 'config.json'
    file.write_text(json.dumps(dict(json.loads(file.read_text()), norm_type='layer_norm')))
    for load in (lambda: ClassConditionalGenerator.check_weights(dict(weights=str(old_dit)), 'g'),
                 lambda: ClassConditionalGenerator.from_pretrained(str(old_dit))):
        with pytest.raises(DistillError, match='holds Transformer2DModel, not DiTTransformer2DModel'):
            load()


def test_a_revision_and_a_folder_on_the_hub(sd_folder, hub):
    shutil.copytree(sd_folder, hub.root / 'owner/sd')
    shutil.copytree(sd_folder / 'one_hot', hub.root / 'owner/reward/checkpoints/cocostuff/reward_5k')
    (hub.root / 'owner/reward/README.md').write_text('')
    settings = dict(SETTINGS, classes=CLASSES, rendering='one_hot')
    address = 'owner/reward/checkpoints/cocostuff/reward_5k'
    made = ControlNetGenerator.from_pretrained('owner/sd@v1.0', address, **settings)
    same(made, ControlNetGenerator.from_pretrained(str(sd_folder), str(sd_folder / 'one_hot'), **settings))
    assert set(hub.revisions) == {'v1.0', None} and 'README.md' not in hub.asked
    sources = made.describe()['weights']
    assert sources['controlnet']['revision'] == sources['generator']['revision'] == SHA
    assert list(sources['controlnet']['sha256']) == [f'{NET}.safetensors']
    with pytest.raises(DistillError, match='owner/reward on the hub has no no/where'):
        ControlNetGenerator.from_pretrained('owner/sd', 'owner/reward/no/where', **settings)


def test_the_cache_serves_without_a_connection(sd_folder, hub, monkeypatch):
    shutil.copytree(sd_folder, hub.root / 'owner/sd')
    wanted = Img2ImgGenerator.from_pretrained('owner/sd', **SETTINGS)
    monkeypatch.setattr('huggingface_hub.HfApi.repo_info', lambda *a, **k: (_ for _ in ()).throw(
        ConnectionError('no route to the hub')))
    same(Img2ImgGenerator.from_pretrained('owner/sd', **SETTINGS), wanted)
    with pytest.raises(DistillError, match='no weights at owner/other: .* the hub cannot be reached .*: connect to '):
        Img2ImgGenerator.from_pretrained('owner/other', **SETTINGS)


def test_variants_alone(sd_folder, tmp_path):
    folder = shutil.copytree(sd_folder, tmp_path / 'sd')
    for file in list(folder.glob('*/*.safetensors')):
        save_file({name: value.half() for name, value in load_file(file).items()},
                  file.with_name(file.name.replace('.safetensors', '.fp16.safetensors')), dict(format='pt'))
        file.unlink()
    Img2ImgGenerator.check_weights(dict(weights=str(folder), **SETTINGS), 'g')
    made = Img2ImgGenerator.from_pretrained(str(folder), **SETTINGS)
    same(made, {name: value.half().float() if value.is_floating_point() else value for name, value in
                states(Img2ImgGenerator.from_pretrained(str(sd_folder), **SETTINGS)).items()})
    assert f'unet/{NET}.fp16.safetensors' in made.describe()['weights']['generator']['sha256']


@pytest.mark.parametrize('variant', [None, 'fp16'])
def test_shards(sd_folder, tmp_path, variant):
    from diffusers import UNet2DConditionModel
    folder = shutil.copytree(sd_folder, tmp_path / 'sd')
    (folder / 'unet' / f'{NET}.safetensors').unlink()
    UNet2DConditionModel.from_pretrained(sd_folder / 'unet').save_pretrained(folder / 'unet', max_shard_size='1MB',
                                                                             variant=variant)
    assert len(list((folder / 'unet').glob('*-of-*'))) > 1
    Img2ImgGenerator.check_weights(dict(weights=str(folder), **SETTINGS), 'g')
    made = Img2ImgGenerator.from_pretrained(str(folder), **SETTINGS)
    same(made, Img2ImgGenerator.from_pretrained(str(sd_folder), **SETTINGS))
    assert len([name for name in made.describe()['weights']['generator']['sha256'] if 'unet/' in name]) > 2
    next((folder / 'unet').glob('*-00001-of-*')).unlink()
    with pytest.raises(DistillError, match='UNet2DConditionModel in'):
        Img2ImgGenerator.from_pretrained(str(folder), **SETTINGS)


@pytest.mark.parametrize('name', ['v1-5.ckpt', 'v1-5.safetensors', 'v1-5.pth'])
def test_one_file_of_stable_diffusion(sd_folder, tmp_path, name):
    state = {key: value.contiguous().clone() for key, value in stable_diffusion(sd_folder).items()}
    if name.endswith('.safetensors'):
        save_file(state, tmp_path / name)
    else:
        torch.save(dict(state_dict=state, callbacks={Path: SimpleNamespace(best=1)}, epoch=3), tmp_path / name)
    with pytest.raises(DistillError, match='is a single file, without configs and tokenizer: give config'):
        Img2ImgGenerator.check_weights(dict(weights=str(tmp_path / name), **SETTINGS), 'g')
    bare = shutil.copytree(sd_folder, tmp_path / 'configs', ignore=shutil.ignore_patterns('*.safetensors'))
    settings = dict(SETTINGS, config=str(bare))
    Img2ImgGenerator.check_weights(dict(weights=str(tmp_path / name), **settings), 'g')
    made = Img2ImgGenerator.from_pretrained(str(tmp_path / name), **settings)
    same(made, Img2ImgGenerator.from_pretrained(str(sd_folder), **SETTINGS))
    assert list(made.describe()['weights']['generator']['sha256']) == [name]


def test_one_file_from_the_hub_with_configs_from_the_hub(sd_folder, hub):
    shutil.copytree(sd_folder, hub.root / 'owner/sd')
    torch.save(stable_diffusion(sd_folder), hub.root / 'owner/sd/v1-5.ckpt')
    made = Img2ImgGenerator.from_pretrained('owner/sd/v1-5.ckpt', config='owner/sd', **SETTINGS)
    same(made, Img2ImgGenerator.from_pretrained(str(sd_folder), **SETTINGS))
    assert [name for name in hub.asked if not name.endswith(('.json', '.txt'))] == ['v1-5.ckpt']


def test_one_file_of_an_autoencoder(sd_folder, tmp_path):
    torch.save(dict(state_dict=vae(sd_folder / 'vae')), tmp_path / 'vae.ckpt')
    settings = dict(weights=str(sd_folder), guidance_vae=str(tmp_path / 'vae.ckpt'), **SETTINGS)
    Img2ImgGenerator.check_weights(settings, 'g')
    made = Img2ImgGenerator.from_pretrained(**settings)
    same(made.guide_vae.state_dict(), load_vae(str(sd_folder)).state_dict())
    assert list(made.describe()['weights']['guidance_vae']['sha256']) == ['vae.ckpt']


@pytest.mark.parametrize('channels', [3, 6])
def test_one_file_of_a_controlnet(sd_folder, tmp_path, channels):
    from diffusers import ControlNetModel, UNet2DConditionModel
    unet = UNet2DConditionModel.from_pretrained(sd_folder / 'unet')
    wanted = ControlNetModel.from_unet(unet, conditioning_channels=channels)
    wanted.save_pretrained(tmp_path)
    torch.save(controlnet(tmp_path), tmp_path / 'control.pth')
    check_weights(str(tmp_path / 'control.pth'), (), 'g.controlnet', str(sd_folder))
    made = Weights(str(tmp_path / 'control.pth'), config=str(sd_folder)).load((ControlNetModel, ), 'unet')
    same(made.state_dict(), wanted.state_dict())
    assert made.config.conditioning_channels == channels


@pytest.mark.parametrize('names,message', [
    (['x_embedder.proj.weight', 'blocks.0.adaLN_modulation.1.weight'], 'an original DiT checkpoint: convert it with'),
    (['conditioner.embedders.0.transformer.text_model.x'], 'Stable Diffusion XL'),
    (['cond_stage_model.model.ln_final.weight', 'model.diffusion_model.x'], 'Stable Diffusion 2.x: load it with'),
    (['lora_unet_down.weight'], 'LoRA weights'),
    (['down_blocks.0.resnets.0.norm1.weight'], 'a single network in the layout of diffusers: put it into a folder'),
    (['backbone.stem.0.weight', 'decode_head.x'], 'a network of OpenMMLab'),
    (['autoencoder.decoder.layers.0.weight'], 'a checkpoint of `mmdistill train`: give the folder export beside it'),
    (['module.unet.conv_in.weight'], 'a checkpoint of `mmdistill train`'),
    (['model.diffusion_model.time_embed.0.weight'], 'tensors are missing, the first is'),
    (['something'], 'tensors are missing'),
])
@pytest.mark.parametrize('ending', ['safetensors', 'pt'])
def test_files_that_are_something_else(sd_folder, tmp_path, names, message, ending):
    state, path = {name: torch.ones(4) for name in names}, tmp_path / f'net.{ending}'
    save_file(state, path) if ending == 'safetensors' else torch.save(state, path)
    settings = dict(SETTINGS, config=str(sd_folder))
    with pytest.raises(DistillError, match=message) as raised:
        if 'missing' not in message:
            Img2ImgGenerator.check_weights(dict(weights=str(path), **settings), 'g')
        else:
            Img2ImgGenerator.from_pretrained(str(path), **settings)
    assert '\n' not in str(raised.value) and 'net.' in str(raised.value)


def test_folders_of_other_frameworks(sd_folder, tmp_path):
    folder = shutil.copytree(sd_folder, tmp_path / 'sd')
    (folder / 'unet' / f'{NET}.safetensors').rename(folder / 'unet' / 'diffusion_flax_model.msgpack')
    for load in (Img2ImgGenerator.check_weights, lambda settings, where: Img2ImgGenerator.from_pretrained(**settings)):
        with pytest.raises(DistillError, match='msgpack is Flax weights'):
            load(dict(weights=str(folder), **SETTINGS), 'g')


def test_files_beside_the_weights_change_nothing(sd_folder, tmp_path):
    folder = shutil.copytree(sd_folder, tmp_path / 'sd')
    before = Weights(str(folder), ('unet', 'vae')).describe()
    for name in (f'{NET}.fp16.safetensors', f'{NET}.bin', 'other.safetensors'):
        (folder / 'unet' / name).write_bytes(b'')
    assert Weights(str(folder), ('unet', 'vae')).describe() == before
    assert list(before['sha256']) == [f'unet/{NET}.safetensors', f'vae/{NET}.safetensors']


def test_configs_and_tokenizers_are_inputs_too(sd_folder, tmp_path):
    folder = shutil.copytree(sd_folder, tmp_path / 'sd')
    parts = ('unet', 'vae', 'tokenizer', 'scheduler')
    before = Weights(str(folder), parts).describe()
    assert {'unet/config.json', 'vae/config.json', 'scheduler/scheduler_config.json',
            'tokenizer/tokenizer_config.json'} <= before['configs'].keys()
    for name in list(before['configs']):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data + b' ')
        assert Weights(str(folder), parts).describe() != before, name
        (folder / name).write_bytes(data)
    assert Weights(str(folder), parts).describe() == before
    assert list(Weights(str(folder / 'unet')).describe()['configs']) == ['config.json']
    single = tmp_path / 'unet.safetensors'
    save_file({'model.diffusion_model.time_embed.0.weight': torch.ones(4)}, single)
    assert 'unet/config.json' in Weights(str(single), parts, str(folder)).describe()['configs']
