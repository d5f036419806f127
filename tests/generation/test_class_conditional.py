import json
import shutil

import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation import ClassConditionalGenerator
from mmdistill.generation.unets import ClassUNet
from mmdistill.guidance import Guidance, SemanticMatching
from mmdistill.plan import Request

NAMES = ('dog', 'cat', 'owl')


@pytest.fixture(scope='module')
def folders(tmp_path_factory, sd_folder):
    """Folders of a ClassUNet and of a DiT with a learned variance, each of 3 classes."""
    from diffusers import DDIMScheduler, DDPMScheduler, DiTTransformer2DModel
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('class')
    ClassUNet(3, 4, 8, block_out_channels=(16, 32)).save_pretrained(folder / 'ClassUNet' / 'unet')
    dit = DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8,
                                num_layers=2, sample_size=8, patch_size=2, num_embeds_ada_norm=3)
    for parameter in dit.parameters():  # the adaptive norms start at 0: nothing would matter
        torch.nn.init.normal_(parameter, std=0.2)
    dit.save_pretrained(folder / 'DiT' / 'transformer')
    DDPMScheduler(beta_schedule='squaredcos_cap_v2', prediction_type='v_prediction',
                  clip_sample=False).save_pretrained(folder / 'ClassUNet' / 'scheduler')
    DDIMScheduler(clip_sample=False).save_pretrained(folder / 'DiT' / 'scheduler')
    for name in ('ClassUNet', 'DiT'):
        shutil.copytree(sd_folder / 'vae', folder / name / 'vae')
    return folder


def build(folder, **settings):
    settings = dict(dict(num_steps=4, micro_batch=2, cfg_scale=2.0, scheduler='DPMSolverMultistepScheduler',
                         strength=0.75), **settings)
    return ClassConditionalGenerator.from_pretrained(str(folder), **settings)


def work(count=3):
    requests = [Request(f'c/{n}', 10 + n, classes=(n % 3, )) for n in range(count)]
    return requests, list(np.random.default_rng(0).standard_normal((count, 4, 8, 8)).astype(np.float32))


@pytest.mark.parametrize('name', ['ClassUNet', 'DiT'])
@pytest.mark.parametrize('start', [True, False])
def test_bytes_do_not_depend_on_the_batch(folders, name, start):
    generator, (requests, latents) = build(folders / name), work()
    given = [dict(latents=[latent]) if start else {} for latent in latents]
    whole = generator.generate(requests, **(dict(latents=latents) if start else {}))
    assert len({image.tobytes() for image in whole}) == 3 and whole[0].shape == (32, 32, 3)
    for n in (2, 0, 1):
        assert np.array_equal(generator.generate([requests[n]], **given[n])[0], whole[n])


def test_dit_equals_the_stock_pipeline(folders):
    """Without start latents it equals DiTPipeline: CFG, learned variance not used."""
    import diffusers
    generator = build(folders / 'DiT', scheduler='DDIMScheduler', cfg_scale=4.0, micro_batch=3)
    requests, _ = work()
    pipeline = diffusers.DiTPipeline(
        diffusers.DiTTransformer2DModel.from_pretrained(folders / 'DiT/transformer'),
        diffusers.AutoencoderKL.from_pretrained(folders / 'DiT/vae'), generator.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    for block in pipeline.transformer.transformer_blocks:  # the pipeline takes id 1000 for the null class
        embedding = block.norm1.emb.class_embedder.embedding_table
        rows = embedding.weight.data
        embedding.weight.data = torch.cat([rows[:3], torch.zeros(997, rows.shape[1]), rows[3:]])
    seeds = [torch.Generator().manual_seed(request.seed) for request in requests]
    expected = pipeline([0, 1, 2], guidance_scale=4.0, generator=seeds, num_inference_steps=4, output_type='np').images
    images = np.stack(generator.generate(requests)).astype(int)
    assert np.abs(images - (expected * 255).round()).max() <= 1


def test_ancestral_steps_use_the_learned_variance(folders):
    learned, fixed = (
        build(folders / 'DiT', scheduler=dict(type='DDPMScheduler', variance_type=kind, timestep_spacing='linspace'))
        for kind in ('learned_range', 'fixed_small'))
    requests, _ = work(1)
    assert (learned.generate(requests)[0] != fixed.generate(requests)[0]).any()


@pytest.mark.parametrize('name', ['ClassUNet', 'DiT'])
def test_class_ids_are_the_weights_ids(folders, name):
    usual = build(folders / name, classes=NAMES)
    mapped = build(folders / name, classes=NAMES[:2], class_ids=(2, 0))
    image = lambda generator, label: generator.generate([Request('a', 5, classes=(label, ))])[0]  # noqa: E731
    assert np.array_equal(image(mapped, 0), image(usual, 2)) and np.array_equal(image(mapped, 1), image(usual, 0))
    assert (image(usual, 0) != image(usual, 2)).any()
    assert mapped.describe()['class_ids'] == [2, 0]


def test_null_class_is_the_row_behind_the_last(folders):
    condition = build(folders / 'ClassUNet').condition(work(2)[0])
    assert condition['label'].tolist() == [0, 1] and condition.null()['label'].tolist() == [3, 3]


def test_guidance_is_told_the_requests(folders):
    generator = build(folders / 'ClassUNet', classes=NAMES[:2], class_ids=(2, 0))
    requests = (Request('a', 2**63 - 1, classes=(1, )), Request('b', 7, classes=(0, )))
    condition = generator.condition(requests)
    assert condition.requests == condition.null().requests == requests


def shared(generator):
    """The generator with one label embedding in all blocks, as trained DiTs have."""
    norms = [block.norm1 for block in getattr(generator.denoiser.network, 'transformer_blocks', ())]
    for norm in norms[1:]:
        norm.emb.load_state_dict(norms[0].emb.state_dict())
    return generator


@pytest.mark.parametrize('name', ['ClassUNet', 'DiT'])
def test_embeddings_of_labels_are_the_labels(folders, name):
    generator, (requests, latents) = shared(build(folders / name, class_ids=(2, 0, 1))), work()
    hard = generator.generate(requests, latents=latents)
    classes = generator.class_embeddings(requests)
    condition = generator.embed(generator.condition(requests))
    assert sorted(classes) == [0, 1, 2] and condition.requests == tuple(requests)
    assert torch.equal(condition['label'], torch.stack([classes[n] for n in range(3)]))
    assert condition['label'].dtype == condition.nulls['label'].dtype == torch.float32
    soft = Guidance([], semantic=lambda condition, t: generator.embed(condition))
    assert all(map(np.array_equal, generator.generate(requests, latents=latents, guidance=soft), hard))


def test_a_dit_of_unequal_blocks_takes_labels_alone(folders):
    generator, (requests, _) = build(folders / 'DiT'), work(1)
    generator.generate(requests)
    with pytest.raises(DistillError, match='block 1 of the DiT has another .*leave semantic matching out'):
        generator.class_embeddings(requests)


def test_cfg_of_some_channels(folders):
    images = {}
    for channels in (None, 3, 4):
        generator = build(folders / 'DiT', cfg_channels=channels)
        images[channels], = generator.generate(work(1)[0])
        assert generator.describe()['cfg_channels'] == channels
    assert np.array_equal(images[None], images[4]) and (images[3] != images[4]).any()


def test_the_network_takes_embeddings_of_labels():
    torch.manual_seed(0)
    unet = ClassUNet(3, 4, block_out_channels=(16, 32)).eval()
    x, t, labels = torch.randn(2, 4, 8, 8), torch.tensor([5, 900]), torch.tensor([2, 3])
    with torch.no_grad():
        assert torch.equal(unet(x, t, labels).sample, unet(x, t, unet.labels(labels)).sample)
        assert (unet(x, t, labels).sample - unet(x, t, labels.flip(0)).sample).abs().max() > 0


@pytest.mark.parametrize('settings,message', [
    (dict(classes=NAMES[:2]), 'weights have 3 classes, the dataset 2: .*class_ids'),
    (dict(classes=NAMES, class_ids=(0, 1)), '2 class_ids for the 3 classes'),
    (dict(class_ids=(0, 3)), r'class_ids has 3, .*0\.\.2'),
    (dict(cfg_channels=5), r'cfg_channels=5 has to be in \[1, 4\]'),
    (dict(cfg_channels=0), 'cfg_channels=0'),
    (dict(image_size=36), 'multiple of 8'),
    (dict(image_size=(32, 64)), 'square'),
])
def test_wrong_settings(folders, settings, message):
    with pytest.raises(DistillError, match=message):
        build(folders / 'DiT', **settings)


@pytest.mark.parametrize('name', ['ClassUNet', 'DiT'])
def test_weights_that_name_their_classes(folders, name, tmp_path):
    """By the network's config, as trainings write it, or the labels of a pipeline of diffusers."""
    folder = shutil.copytree(folders / name, tmp_path / name)
    names = [*NAMES[:2], f'{NAMES[2]}, and so on']
    if name == 'DiT':
        (folder / 'model_index.json').write_text(json.dumps(dict(id2label=dict(zip('012', names)))))
    else:
        network = ClassUNet.from_pretrained(folder / 'unet')
        network.register_to_config(classes=names)
        network.save_pretrained(folder / 'unet')
    build(folder, classes=NAMES)
    settings = dict(weights=str(folder), classes=[NAMES[0], NAMES[2], NAMES[1]])
    for refuse in (lambda: build(folder, classes=settings['classes']),
                   lambda: ClassConditionalGenerator.check(settings, 'g')):
        with pytest.raises(DistillError, match=f'the weights have .*class 1 is {NAMES[1]!r} there, {NAMES[2]!r} in the '
                                               'dataset: give weights of these classes, or set class_ids'):
            refuse()
    assert list(build(folder, classes=settings['classes'], class_ids=[0, 2, 1]).class_ids) == [0, 2, 1]
    with pytest.raises(DistillError, match=f'class_ids gives {NAMES[2]!r} the id 1 of the weights'):
        build(folder, classes=settings['classes'], class_ids=[0, 1, 2])


def test_wrong_weights_and_requests(folders, sd_folder, tmp_path):
    with pytest.raises(DistillError, match='holds UNet2DConditionModel, not DiTTransformer2DModel or ClassUNet'):
        build(sd_folder)
    generator = build(folders / 'ClassUNet')
    for classes in ((), (0, 1), (3, )):
        with pytest.raises(DistillError, match='request x is for classes'):
            generator.generate([Request('x', 1, classes=classes)])
    unsized = shutil.copytree(folders / 'ClassUNet', tmp_path / 'copy')
    ClassUNet(3, 4, block_out_channels=(16, 32)).save_pretrained(unsized / 'unet')
    with pytest.raises(DistillError, match='do not contain their image size: set image_size of the generator'):
        build(unsized)


@pytest.mark.parametrize('name', ['ClassUNet', 'DiT'])
def test_a_compiled_network_makes_the_same_images(folders, name):
    """In one graph, with a backend that does not change it; embeddings in the first steps, labels in the others."""
    requests, _ = work()
    plain, compiled = (shared(build(folders / name, compile=options))
                       for options in (False, dict(backend='eager', fullgraph=True)))
    assert compiled.describe() == dict(plain.describe(), compiled=True)
    assert np.array_equal(*([made.generate(requests, guidance=Guidance([], semantic=SemanticMatching(
        made, requests))) for made in (plain, compiled)]))
