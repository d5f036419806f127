"""The configs for DiT-XL/2 of all methods of guidance, on a small DiT of ImageNet's 1000 classes."""
import json
import shutil

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmdistill.imagenet import imagenet_wnids
from mmdistill.selection import ClassClusters


@pytest.fixture(scope='module')
def dit_folder(tmp_path_factory, sd_folder):
    """A DiT with a learned variance, the class name and the scheduler of the published weights, an autoencoder of
    factor 4."""
    from diffusers import DDIMScheduler, DiTTransformer2DModel
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('dit')
    network = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
                                    num_layers=2, sample_size=8, patch_size=2, num_embeds_ada_norm=1000)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    table = network.transformer_blocks[0].norm1.emb  # one for all blocks, as published
    for block in network.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(table.state_dict())
    network.save_pretrained(folder / 'transformer')
    file = folder / 'transformer' / 'config.json'
    file.write_text(json.dumps(dict(json.loads(file.read_text()), _class_name='Transformer2DModel',
                                    _diffusers_version='0.12.0.dev0')))
    DDIMScheduler(clip_sample=False).save_pretrained(folder / 'scheduler')
    shutil.copytree(sd_folder / 'vae', folder / 'vae')
    return folder


@pytest.mark.parametrize('name', ['imagenette', 'imagewoof', 'imagenet100'])
def test_ids_are_those_of_imagenets_classes(root, name):
    """By name in mmpretrain's list; ImageNet's order is that of the WordNet ids."""
    from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
    cfg = Config.fromfile(root / f'configs/dmgd/dmgd_dit-xl2_ipc10_{name}-256px.py')
    ids = cfg.model.generator.class_ids
    for class_id, text in zip(ids, cfg.label_texts, strict=True):
        assert text in IMAGENET_CATEGORIES[class_id].split(', ')
    order = sorted(range(len(ids)), key=lambda i: cfg.classes[i])
    assert [ids[i] for i in order] == sorted(ids)


@pytest.mark.parametrize('method, dataset', [
    ('dmgd', 'imagenette'), ('dmgd', 'imagewoof'), ('dmgd', 'imagenet1k'), ('mgd3', 'imagenette'),
    ('coda', 'imagewoof'), ('cgs', 'imagenette'), ('dap', 'imagenette')])
def test_the_shipped_configs_run(tools, root, dit_folder, tmp_path, method, dataset):
    base = Config.fromfile(root / f'configs/_base_/datasets/{dataset}.py')
    wnids = base.get('classes') or imagenet_wnids()[:2]
    for wnid in wnids:
        (tmp_path / 'data/train' / wnid).mkdir(parents=True)
        for n in range(3):
            Image.new('RGB', (40, 48), (n * 99, 10, 200)).save(tmp_path / f'data/train/{wnid}/{wnid}_{n}.JPEG')
    options = ['model.generator.num_steps=8', f'model.generator.weights={dit_folder}', 'model.generator.image_size=32',
               'model.generator.dtype=float32', 'test_dataloader.num_workers=0', 'custom_hooks.ClassPlanHook.ipc=2',
               f'data_root={tmp_path / "data"}']
    if dataset == 'imagenet1k':
        options += ['test_dataloader.dataset.type=mmdistill.ImageNetSubset', 'model.generator.class_ids=[0,1]',
                    f'test_dataloader.dataset.classes=[{",".join(wnids)}]',
                    'test_dataloader.dataset.metainfo.label_texts=[tench,goldfish]']
    if method == 'dap':  # this DiT has two blocks
        options += ['custom_hooks.GuidedSynthesisHook.objectives.FeatureAlignment.blocks=(0,1)']
    done = tools('distill', root / f'configs/{method}/{method}_dit-xl2_ipc10_{dataset}-256px.py', '--work-dir',
                 tmp_path / 'work', '--cfg-options', *options)
    assert done.returncode == 0, done.stderr[-2000:]
    manifest = json.loads((tmp_path / 'work/distilled/meta/distilled.json').read_text())
    assert len(manifest['images']) == 2 * len(wnids)
    name, scale, supports = dict(dmgd=('DMGD', 0.1, 3), mgd3=('MGD3', 0.1, 2), coda=('CoDA', 0.05, 2),
                                 cgs=('CGS', 100, 1), dap=('DAP', 1.0, 3))[method]
    guidance, generator = manifest['extra']['guidance'], manifest['weights']
    assert manifest['method'] == name and guidance['scale'] == scale
    assert (generator['cfg_scale'], generator['scheduler']['variance_type']) == (4.0, 'learned_range')
    assert generator['timestep_shift'] == 0 and 'timestep embedding with shift 0' in done.stdout + done.stderr
    assert (guidance['semantic'] is not None) == (method == 'dmgd')
    assert (tmp_path / 'work/distilled/latents').exists() == (method == 'dmgd')
    clusters = ClassClusters.load(tmp_path / 'work/support_points.safetensors')
    assert {len(rows) for rows in clusters.centers.values()} == {supports}


def test_the_window_is_the_papers(root):
    from mmdistill.guidance import Guidance
    hook = Config.fromfile(root / 'configs/dmgd/dmgd_dit-xl2_ipc10_imagenette-256px.py').custom_hooks[1]
    guidance = Guidance([], window=hook.window, semantic=lambda condition, t: condition)
    guidance.objectives = dict(any=None)
    assert [49 - i for i in guidance.steps(50)] == list(range(45, 29, -1))


def test_the_licence_is_said(caplog, monkeypatch):
    from mmdistill.errors import DistillError
    from mmdistill.generation import ClassConditionalGenerator
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setattr('huggingface_hub.snapshot_download', lambda *a, **k: (_ for _ in ()).throw(OSError('offline')))
    with pytest.raises(DistillError, match='no weights at facebook/DiT'):
        ClassConditionalGenerator.from_pretrained('facebook/DiT-XL-2-256')
    assert 'CC-BY-NC-4.0: not for commercial use' in caplog.text
