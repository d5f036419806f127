import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation import ControlNetGenerator
from mmdistill.generation.palette import render_palette
from mmdistill.guidance import Guidance, SegmentationConsistency

PALETTE = [(128, 64, 128), (70, 130, 180), (0, 0, 142), (107, 142, 35), (220, 220, 0)]
SOLVER = dict(type='DPMSolverMultistepScheduler')


def build(folder, classes, control='colours', **settings):
    settings = dict(dict(palette=PALETTE, num_steps=4, cfg_scale=3.0, micro_batch=2, scheduler=SOLVER), **settings)
    return ControlNetGenerator.from_pretrained(str(folder), str(folder / control), classes=classes, **settings)


@pytest.mark.parametrize('scheduler', ['DDIMScheduler', 'DPMSolverMultistepScheduler', 'UniPCMultistepScheduler'])
def test_equals_the_stock_pipeline_bit_for_bit(sd_folder, classes, work, scheduler):
    import diffusers
    generator = build(sd_folder, classes, scheduler=scheduler, micro_batch=1, negative_prompt='blurry')
    (request, ), (mask, ) = work(1)
    prompt = generator.prompt_of(request, torch.from_numpy(mask).long())
    parts = {name: getattr(diffusers, cls).from_pretrained(sd_folder / name)
             for name, cls in (('unet', 'UNet2DConditionModel'), ('vae', 'AutoencoderKL'))}
    pipeline = diffusers.StableDiffusionControlNetPipeline(
        **parts, controlnet=diffusers.ControlNetModel.from_pretrained(sd_folder / 'colours'),
        text_encoder=generator.prompts.text_encoder, tokenizer=generator.prompts.tokenizer,
        scheduler=generator.scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt, image=render_palette(torch.from_numpy(mask).long()[None], PALETTE), negative_prompt='blurry',
        latents=torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(request.seed)), guidance_scale=3.0,
        num_inference_steps=4, output_type='np').images[0]
    assert np.array_equal(generator.generate([request], [mask])[0], (expected * 255).round().astype(np.uint8))


def test_bytes_do_not_depend_on_the_batch(sd_folder, classes, work):
    torch.manual_seed(0)
    segmentor = torch.nn.Conv2d(3, 5, 3, padding=1).requires_grad_(False)
    guidance = Guidance([SegmentationConsistency(segmentor)])
    generator, (requests, masks) = build(sd_folder, classes), work(3)
    whole = generator.generate(requests, masks, guidance)
    for n in (2, 0, 1):
        assert np.array_equal(generator.generate([requests[n]], [masks[n]], guidance)[0], whole[n])


def test_one_hot_control(sd_folder, classes, work):
    generator, (requests, masks) = build(sd_folder, classes, 'one_hot', rendering='one_hot', palette=None), work(2)
    images = generator.generate([requests[0]] * 2, masks)
    assert images[0].shape == (32, 32, 3) and (images[0] != images[1]).any()
    control = generator.condition(requests, torch.from_numpy(np.stack(masks)).long())['control']
    assert control.shape == (2, 6, 32, 32) and control.sum(1).eq(1).all()


def test_prompt_names_the_classes_largest_first(sd_folder, classes, work):
    generator, (request, ) = build(sd_folder, classes), work(1)[0]
    mask = torch.tensor([[2, 2, 2, 0], [0, 4, 255, 255]])
    assert generator.prompt_of(request, mask) == 'a photo of car, road, sign'
    assert generator.prompt_of(replace(request, prompt='a street'), mask) == 'a street'


def test_long_prompts_lose_their_smallest_classes_and_say_so(sd_folder, work, caplog):
    names = ['a' * 20, 'b' * 20, 'c' * 20, 'd' * 20, 'e' * 20]  # one token a letter
    generator, (request, ) = build(sd_folder, names), work(1)[0]
    mask = torch.tensor([[0, 0, 0, 1, 1, 2, 2, 3, 4]])
    with caplog.at_level(logging.WARNING, 'mmdistill'):
        prompt = generator.prompt_of(request, mask)
    assert names[1] in prompt and names[3] not in prompt and generator.prompts.fits(prompt)
    assert 'r0' in caplog.text and names[4] in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, 'mmdistill'):
        generator.prompt_of(replace(request, prompt='x' * 99), mask)
    assert 'CLIP does not read the rest' in caplog.text
    assert generator.prompts('x' * 99).shape == (1, 77, 32)


def test_classes_of_one_colour_are_reported(sd_folder, classes, caplog):
    with caplog.at_level(logging.WARNING, 'mmdistill'):
        build(sd_folder, classes, palette=PALETTE[:4] + PALETTE[:1])
    assert 'road, sign' in caplog.text


@pytest.mark.parametrize('settings,message', [
    (dict(scheduler=None), 'PNDMScheduler cannot be guided'),
    (dict(palette=None), 'needs a palette'),
    (dict(palette=PALETTE[:2]), '2 colours for 5 classes'),
    (dict(rendering='one_hot'), 'reads 3 channels'),
    (dict(control='one_hot'), 'reads 6 channels'),
    (dict(rendering='hot'), 'rendering'),
    (dict(prompt='a {thing}'), 'only field'),
    (dict(control='vae'), 'do not fit the config'),
    (dict(control='nowhere'), 'no weights at'),
    (dict(image_size=28), 'multiple of 8'),
])
def test_wrong_settings(sd_folder, classes, settings, message):
    with pytest.raises(DistillError, match=message):
        build(sd_folder, classes, **settings)


def test_a_controlnet_of_another_model(sd_folder, classes, tmp_path):
    from diffusers import ControlNetModel
    ControlNetModel(block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=16, attention_head_dim=8,
                    down_block_types=('DownBlock2D', 'CrossAttnDownBlock2D'),
                    conditioning_embedding_out_channels=(8, 16, 16)).save_pretrained(tmp_path)
    with pytest.raises(DistillError, match='cross_attention_dim of controlnet is 16, of unet is 32'):
        ControlNetGenerator.from_pretrained(str(sd_folder), str(tmp_path), classes=classes, palette=PALETTE,
                                            scheduler=SOLVER)
    with pytest.raises(DistillError, match='tokenizer'):
        build(sd_folder, classes).prompts.from_pretrained(tmp_path)
