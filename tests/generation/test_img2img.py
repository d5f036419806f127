import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation import Img2ImgGenerator
from mmdistill.generation.batching import steady_threads
from mmdistill.plan import Request


def build(folder, **settings):
    settings = dict(dict(num_steps=10, micro_batch=2, scheduler='DDIMScheduler'), **settings)
    return Img2ImgGenerator.from_pretrained(str(folder), **settings)


@pytest.fixture
def work():
    """Three requests and the latents that they start from."""
    texts = ('tench', 'garbage truck', 'golf ball')
    requests = [Request(f'n/{n}', 100 + n, classes=(n, ), prompt=text) for n, text in enumerate(texts)]
    return requests, list(np.random.default_rng(0).standard_normal((3, 4, 8, 8)).astype(np.float32))


@pytest.mark.parametrize('micro_batch', [1, 3])
def test_equals_the_stock_pipeline_bit_for_bit(sd_folder, work, micro_batch):
    import diffusers
    requests, latents = work
    generator = build(sd_folder, micro_batch=micro_batch)
    assert (generator.strength, generator.cfg.scale, generator.negative_prompt) == (0.7, 8.0,
                                                                                   'cartoon, anime, painting')
    parts = {name: getattr(diffusers, cls).from_pretrained(sd_folder / name)
             for name, cls in (('unet', 'UNet2DConditionModel'), ('vae', 'AutoencoderKL'))}
    pipeline = diffusers.StableDiffusionImg2ImgPipeline(
        **parts, text_encoder=generator.prompts.text_encoder, tokenizer=generator.prompts.tokenizer,
        scheduler=generator.scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    rows = slice(0, micro_batch)
    with steady_threads(torch.device('cpu'), micro_batch):  # another number of threads rounds differently
        expected = pipeline(
            [request.prompt for request in requests[rows]], image=torch.from_numpy(np.stack(latents[rows])),
            negative_prompt=['cartoon, anime, painting'] * micro_batch, strength=0.7, guidance_scale=8.0,
            num_inference_steps=10, output_type='np',
            generator=[torch.Generator().manual_seed(request.seed) for request in requests[rows]]).images
    images = generator.generate(requests[rows], latents=latents[rows])
    assert np.array_equal(np.stack(images), (expected * 255).round().astype(np.uint8))


def test_bytes_do_not_depend_on_the_batch(sd_folder, work):
    generator, (requests, latents) = build(sd_folder), work
    whole = generator.generate(requests, latents=latents)
    assert len({image.tobytes() for image in whole}) == 3
    for n in (2, 0, 1):
        assert np.array_equal(generator.generate([requests[n]], latents=[latents[n]])[0], whole[n])


def test_start_latents_prompt_and_seed_matter(sd_folder, work):
    generator, (requests, latents) = build(sd_folder), work
    image, = generator.generate(requests[:1], latents=latents[:1])
    for request, latent in ((requests[0], latents[1]), (replace(requests[0], prompt='a cat'), latents[0]),
                            (replace(requests[0], seed=1), latents[0])):
        assert (generator.generate([request], latents=[latent])[0] != image).any()
    assert (generator.generate(requests[:1])[0] != image).any()  # from pure noise


def test_latents_of_its_own_autoencoder_start_it(sd_folder):
    generator = build(sd_folder)
    latents = generator.encode(torch.rand(2, 3, 32, 32) * 2 - 1)
    assert latents.shape == (2, 4, 8, 8) and latents.dtype == torch.float32 and not latents.requires_grad
    assert generator.generate([Request('a', 1, prompt='x')], latents=[latents[0].numpy()])[0].shape == (32, 32, 3)


def test_guidance_is_told_the_requests(sd_folder, work):
    requests = (work[0][1], Request('x', 3, prompt='a cat'))
    assert build(sd_folder).condition(requests).requests == requests


def test_embeddings_of_classes_are_their_first_prompts(sd_folder, work):
    generator, (requests, _) = build(sd_folder), work
    classes = generator.class_embeddings([requests[2], replace(requests[2], prompt='a cat'), requests[0]])
    condition = generator.condition(requests)
    assert list(classes) == [0, 2] and all(torch.equal(classes[n], condition['prompt'][n]) for n in classes)
    assert torch.equal(generator.embed(condition)['prompt'], condition['prompt'])
    with pytest.raises(DistillError, match='request n/0 .* one class'):
        generator.class_embeddings([replace(requests[0], classes=())])


def test_a_long_prompt_is_said(sd_folder, work, caplog):
    with caplog.at_level(logging.WARNING, 'mmdistill'):
        build(sd_folder, num_steps=2).generate([replace(work[0][0], prompt='x' * 99)])
    assert 'n/0' in caplog.text and 'CLIP does not read the rest' in caplog.text


@pytest.mark.parametrize('settings,message', [
    (dict(scheduler=None), 'PNDMScheduler cannot be guided'),
    (dict(strength=0.05), 'strength=0.05 leaves none of 10 steps'),
    (dict(strength=1.5), 'strength=1.5'),
    (dict(image_size=28), 'multiple of 8'),
])
def test_wrong_settings(sd_folder, settings, message):
    with pytest.raises(DistillError, match=message):
        build(sd_folder, **settings)


def test_wrong_requests_are_named(sd_folder, work):
    generator, (requests, latents) = build(sd_folder), work
    with pytest.raises(DistillError, match='request n/0 has no prompt'):
        generator.generate([replace(requests[0], prompt=None)])
    for wrong in (latents[0][:, :4], latents[0].astype(np.float64)):
        with pytest.raises(DistillError, match=r'request n/0: latents .* float32 \(4, 8, 8\)'):
            generator.generate(requests[:1], latents=[wrong])


def test_only_the_last_embeddings_are_kept_and_follow_the_encoder(sd_folder):
    prompts = build(sd_folder).prompts
    first = prompts('a')
    for n in range(300):
        prompts(str(n))
    assert prompts._embedding.cache_info().currsize == 256
    assert torch.equal(prompts('a'), first)
    prompts.text_encoder.to('meta')
    assert prompts('a').device.type == 'meta'


@pytest.mark.parametrize('masked', [True, False])
def test_the_attention_mask_is_used_where_the_weights_say_so(sd_folder, masked):
    prompts = build(sd_folder).prompts
    prompts.text_encoder.config.use_attention_mask = masked  # Stable Diffusion 2.x
    ids = prompts.tokenizer(['a cat'], padding='max_length', max_length=77, return_tensors='pt')
    with torch.no_grad():
        with_mask, without = (prompts.text_encoder(ids.input_ids, attention_mask=mask)[0]
                              for mask in (ids.attention_mask, None))
    assert (with_mask - without).abs().max() > 1e-4
    assert torch.equal(prompts('a cat'), with_mask if masked else without)
