import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation import FreestyleNetGenerator
from mmdistill.generation.rectified_attention import OPEN, bias_of_levels
from mmdistill.guidance import Guidance, SegmentationConsistency

SOLVER = dict(type='DDIMScheduler', steps_offset=1, set_alpha_to_one=False)
NAMES = dict(sign='no entry')  # of the fixture's tokenizer, which has one token per letter: 'no' and 'entry' have 7


def build(folder, classes, **settings):
    settings = dict(dict(num_steps=4, cfg_scale=3.0, micro_batch=2, scheduler=SOLVER, names=NAMES), **settings)
    return FreestyleNetGenerator.from_pretrained(str(folder), classes=classes, **settings)


def readers(generator, request, mask):
    """The pixels of the finest level that read each token: (L, h * w) bool, and the tokens of the prompt."""
    condition = generator.condition([request], torch.from_numpy(mask)[None].long())
    sizes = generator.denoiser.sizes((8, 8))
    bias = bias_of_levels(condition['bias'], sizes, 77)[64][0, 0]
    null = bias_of_levels(condition.null()['bias'], sizes, 77)[64][0, 0]
    return (bias == 0).T, null


def test_defaults_are_the_papers(sd_folder, classes):
    generator = FreestyleNetGenerator.from_pretrained(str(sd_folder), classes=classes, scheduler=SOLVER)
    assert (generator.num_steps, generator.cfg.scale, generator.denoiser.factor) == (50, 2.0, 1.0)
    timesteps = generator.process.timesteps
    assert timesteps[[0, 1, -1]].tolist() == [981, 961, 1] and not generator.scheduler.config.set_alpha_to_one


def test_tokens_belong_to_their_classes(sd_folder, classes, work):
    """road car sign: 4, 3 and 2 + 5 letters, between begin and end."""
    generator, (request, ) = build(sd_folder, classes), work(1)[0]
    mask = np.zeros((32, 32), np.uint8)
    mask[:, 16:] = 4
    mask[20:] = 2
    mask[:4] = 255
    assert generator.words(request, torch.from_numpy(mask).long()) == [('road', 0), ('car', 2), ('no entry', 4)]
    reads, null = readers(generator, request, mask)
    label = torch.from_numpy(mask[::4, ::4]).flatten()
    expected = [OPEN] + [0] * 4 + [2] * 3 + [4] * 7 + [OPEN] * 62
    for token, slot in enumerate(expected):
        assert torch.equal(reads[token], torch.ones(64, dtype=torch.bool) if slot == OPEN else label == slot), token
    assert null.eq(0).all()
    ids = generator.prompts.tokenizer('road car no entry').input_ids
    assert ids == [ids[0], *(one for text in ('road', 'car', 'no entry')
                             for one in generator.prompts.tokenizer(text, add_special_tokens=False).input_ids), ids[-1]]


def test_words_without_a_region_are_read_by_all(sd_folder, classes, work):
    generator, (request, ) = build(sd_folder, classes, prompt='a photo of {classes},  at  dusk'), work(1)[0]
    mask = np.full((32, 32), 1, np.uint8)
    words = generator.words(replace(request, prompt='by rain '), torch.from_numpy(mask).long())
    assert words == [('a photo of', OPEN), ('sky', 1), (', at dusk', OPEN), ('by rain', OPEN)]
    assert generator.slots(words)[:13] == [OPEN] * 9 + [1] * 3 + [OPEN]
    assert generator.words(request, torch.full((8, 8), 255)) == [('a photo of', OPEN), (', at dusk', OPEN)]


def test_long_prompts_lose_their_smallest_classes_and_say_so(sd_folder, work, caplog):
    names = [letter * 20 for letter in 'abcde']
    generator, (request, ) = build(sd_folder, names, names=None), work(1)[0]
    mask = torch.tensor([[0, 0, 0, 4, 4, 2, 2, 1, 3]])
    with caplog.at_level(logging.WARNING, 'mmdistill'):
        words = generator.words(request, mask)
    assert [slot for _, slot in words] == [0, 2, 4]  # ascending, whatever their sizes are
    (record, ) = caplog.records
    assert f'r0: CLIP reads 77 tokens, so its prompt leaves out {names[1]}, {names[3]}' in record.getMessage()
    caplog.clear()
    with caplog.at_level(logging.WARNING, 'mmdistill'):
        slots = generator.slots(generator.words(replace(request, prompt='x' * 99), mask))
    assert len(slots) == 77 and slots[-1] == OPEN and 'CLIP does not read the rest' in caplog.text


def test_one_class_is_plain_text_to_image(sd_folder, classes, work):
    """Against the pipeline of diffusers: the layout of one class masks no token, nor does the unconditional pass."""
    import diffusers
    generator = build(sd_folder, classes, micro_batch=1)
    (request, ), _ = work(1)
    parts = {name: getattr(diffusers, cls).from_pretrained(sd_folder / name)
             for name, cls in (('unet', 'UNet2DConditionModel'), ('vae', 'AutoencoderKL'))}
    pipeline = diffusers.StableDiffusionPipeline(
        **parts, text_encoder=generator.prompts.text_encoder, tokenizer=generator.prompts.tokenizer,
        scheduler=generator.scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        'no entry', latents=torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(request.seed)),
        guidance_scale=3.0, num_inference_steps=4, output_type='np').images[0]
    found = generator.generate([request], [np.full((32, 32), 4, np.uint8)])[0]
    assert np.abs(found - (expected * 255).round()).max() <= 1


def test_the_label_map_decides_with_the_same_prompt(sd_folder, classes, work):
    generator, ((request, ), (mask, )) = build(sd_folder, classes), work(1)
    images = generator.generate([request] * 2, [mask, mask[::-1].copy()])
    assert (images[0] != images[1]).any()
    unmasked = build(sd_folder, classes, rectification=0.0).generate([request] * 2, [mask, mask[::-1].copy()])
    assert np.array_equal(*unmasked) and (unmasked[0] != images[0]).any()


@pytest.mark.parametrize('through', ['x0', 'xt'])
def test_bytes_do_not_depend_on_the_batch(sd_folder, classes, work, through):
    torch.manual_seed(0)
    segmentor = torch.nn.Conv2d(3, 5, 3, padding=1).requires_grad_(False)
    guidance = Guidance([SegmentationConsistency(segmentor)], through=through)
    generator, (requests, masks) = build(sd_folder, classes, gradient_checkpointing=True), work(3)
    whole = generator.generate(requests, masks, guidance)
    assert (whole[0] != generator.generate(requests[:1], masks[:1])[0]).any()
    for n in (2, 0, 1):
        assert np.array_equal(generator.generate([requests[n]], [masks[n]], guidance)[0], whole[n])


def test_bfloat16(sd_folder, classes, work):
    requests, masks = work(2)
    images = build(sd_folder, classes, dtype='bfloat16').generate(requests, masks)
    exact = build(sd_folder, classes).generate(requests, masks)
    assert np.abs(np.subtract(images, exact, dtype=float)).mean() < 4


@pytest.fixture(scope='module')
def other_unet(sd_folder, tmp_path_factory):
    """A folder with a UNet of other values, and weights that have none."""
    from diffusers import UNet2DConditionModel
    torch.manual_seed(1)
    root = tmp_path_factory.mktemp('other')
    UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(sd_folder / 'unet')).save_pretrained(root / 'net')
    (root / 'base').mkdir()
    for part in ('vae', 'text_encoder', 'tokenizer', 'scheduler'):
        (root / 'base' / part).symlink_to(sd_folder / part)
    return root


def test_a_unet_that_was_trained_further(sd_folder, other_unet, classes, work):
    requests, masks = work(1)
    own, = build(sd_folder, classes).generate(requests, masks)
    generator = build(sd_folder, classes, unet=str(other_unet / 'net'))
    image, = generator.generate(requests, masks)
    assert (image != own).any()
    sources = generator.describe()['weights']
    assert list(sources['unet']['sha256']) == ['diffusion_pytorch_model.safetensors']
    assert sorted(sources['generator']['sha256']) == [  # its own UNet is not loaded
        'text_encoder/model.safetensors', 'vae/diffusion_pytorch_model.safetensors']
    same, = build(other_unet / 'base', classes, unet=str(other_unet / 'net')).generate(requests, masks)
    assert np.array_equal(same, image)


def test_weights_are_checked_without_loading(sd_folder, other_unet):
    def check(weights, **settings):
        FreestyleNetGenerator.check_weights(dict(settings, weights=str(weights), scheduler=SOLVER), 'g')

    check(sd_folder)
    check(other_unet / 'base', unet=str(other_unet / 'net'))
    check('CompVis/stable-diffusion-v1-4', unet='someone/freestyle')
    with pytest.raises(DistillError, match="g.weights='.*base': no config.json"):
        check(other_unet / 'base')
    with pytest.raises(DistillError, match="g.unet='.*base': no config.json"):
        check(other_unet / 'base', unet=str(other_unet / 'base'))
    with pytest.raises(DistillError, match='g.unet: no weights at nowhere'):
        check(sd_folder, unet='nowhere')


@pytest.mark.parametrize('settings, message', [
    (dict(prompt='a photo'), 'give it {classes} once'),
    (dict(prompt='{classes}, {classes}'), 'give it {classes} once'),
    (dict(prompt='{thing} {classes}'), 'only field'),
    (dict(rectification=1.5), 'rectification'),
    (dict(names='ade'), 'names'),
    (dict(names=dict(signe='x')), "no class 'signe'; did you mean sign"),
    (dict(scheduler=None), 'PNDMScheduler cannot be guided'),
    (dict(image_size=28), 'multiple of 8'),
])
def test_wrong_settings(sd_folder, classes, settings, message):
    with pytest.raises(DistillError, match=message):
        build(sd_folder, classes, **settings)


def test_settings_that_affect_the_images_are_described(sd_folder, classes):
    told = build(sd_folder, classes, rectification=0.5).describe()
    assert (told['type'], told['rectification'], told['names'], told['prompt'], told['negative_prompt']) == (
        'FreestyleNetGenerator', 0.5, NAMES, '{classes}', '')
