import json
import random
import shutil

import numpy as np
import pytest
import torch

from mmdistill.errors import DistillError
from mmdistill.generation import LayoutUNetGenerator
from mmdistill.generation.batching import steady_threads
from mmdistill.generation.autoencoders import decode, encode, load_vae
from mmdistill.guidance import ClassFeatureMatching, ClassStatistics, Guidance, SegmentationConsistency
from mmdistill.plan import Request

SOLVER = 'DPMSolverMultistepScheduler'


def build(folder, **settings):
    settings = dict(dict(image_size=32, num_steps=4, micro_batch=4, scheduler=SOLVER), **settings)
    return LayoutUNetGenerator.from_pretrained(str(folder), **settings)


def guide(classes=5):
    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.SiLU(), torch.nn.Conv2d(16, classes, 3, 1, 1))
    net.requires_grad_(False)
    extractor = lambda x: [net[0](x)]  # noqa: E731
    statistics = ClassStatistics(classes, min_area=0).fit(extractor(torch.rand(4, 3, 32, 32)),
                                                          torch.randint(0, classes, (4, 32, 32)))
    return Guidance([SegmentationConsistency(net), ClassFeatureMatching(extractor, statistics, min_area=0)])


@pytest.mark.parametrize('scheduler', [SOLVER, 'DDPMScheduler'])
def test_bytes_do_not_depend_on_batch_or_order(layout_folder, work, scheduler):
    generator = build(layout_folder, scheduler=scheduler, num_steps=3)
    requests, masks = work(5)
    whole = generator.generate(requests, masks, guide())
    assert len({image.tobytes() for image in whole}) == 5
    order = random.Random(0).sample(range(5), 3)
    for size in (1, 3):
        for begin in range(0, 3, size):
            part = order[begin:begin + size]
            again = generator.generate([requests[n] for n in part], [masks[n] for n in part], guide())
            assert all(np.array_equal(again[k], whole[n]) for k, n in enumerate(part))


@pytest.mark.parametrize('threads,rows,device,expected', [
    (3, 1, 'cpu', 3), (3, 4, 'cpu', 2), (3, 5, 'cpu', 1), (3, 4, 'cuda', 3), (3, 6, 'cpu', 3), (2, 8, 'cpu', 2),
    (8, 8, 'cpu', 2), (8, 12, 'cpu', 4), (8, 60, 'cpu', 6), (1, 12, 'cpu', 1)])
def test_no_row_is_cut_by_a_thread(threads, rows, device, expected):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with pytest.raises(KeyError), steady_threads(torch.device(device), rows):
            assert torch.get_num_threads() == expected
            raise KeyError
        assert torch.get_num_threads() == threads
        # As small a tensor as is cut into 3 pieces: with 4 threads, the third would begin inside a row of 8.
        with steady_threads(torch.device('cpu'), rows):
            same = torch.randn(1, 40, 16, 16).expand(rows, -1, -1, -1).contiguous()
            assert torch.nn.functional.silu(same).unique(dim=0).shape[0] == 1
    finally:
        torch.set_num_threads(before)


def test_a_generator_of_its_own_gives_the_same_bytes(layout_folder, work):
    requests, masks = work(3)
    first = build(layout_folder).generate(requests, masks, guide())
    assert all(np.array_equal(*pair) for pair in zip(first, build(layout_folder).generate(requests, masks, guide())))
    assert first[0].shape == (32, 32, 3) and first[0].dtype == np.uint8


def test_seed_mask_and_guidance_matter(layout_folder, work):
    generator = build(layout_folder)
    requests, masks = work(2)
    image = generator.generate(requests[:1], masks[:1])[0]
    assert (generator.generate(requests[1:], masks[:1])[0] != image).any()
    assert (generator.generate(requests[:1], masks[1:])[0] != image).any()
    assert (generator.generate(requests[:1], masks[:1], guide())[0] != image).any()


def test_masks_are_resized_by_nearest_neighbour(layout_folder, work):
    generator = build(layout_folder)
    requests, masks = work(1)
    large = np.kron(masks[0], np.ones((3, 3), np.uint8))
    assert np.array_equal(generator.generate(requests, [large])[0], generator.generate(requests, masks)[0])


def test_bfloat16_network_is_close(layout_folder, work):
    requests, masks = work(2)
    exact, half = (build(layout_folder, dtype=dtype).generate(requests, masks, guide())
                   for dtype in ('float32', 'bfloat16'))
    assert np.abs(exact[0].astype(int) - half[0].astype(int)).mean() < 5


def test_gradient_checkpointing_changes_nothing(layout_folder, work):
    requests, masks = work(2)
    guidance = [Guidance(guide().objectives, through='xt') for _ in range(2)]
    plain = build(layout_folder).generate(requests, masks, guidance[0])
    spared = build(layout_folder, gradient_checkpointing=True).generate(requests, masks, guidance[1])
    assert np.abs(plain[0].astype(int) - spared[0].astype(int)).max() <= 1


def test_guidance_can_decode_with_another_autoencoder(layout_folder, work, tmp_path):
    from diffusers import AutoencoderTiny
    torch.manual_seed(5)
    AutoencoderTiny(encoder_block_out_channels=(8, ) * 3, decoder_block_out_channels=(8, ) * 3,
                    num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)).save_pretrained(tmp_path)
    generator, requests, masks = build(layout_folder, guidance_vae=str(tmp_path)), *work(1)
    assert generator.guide_vae.config.decoder_block_out_channels == [8, 8, 8]
    usual = build(layout_folder)
    assert np.array_equal(generator.generate(requests, masks)[0], usual.generate(requests, masks)[0])
    assert (generator.generate(requests, masks, guide())[0] != usual.generate(requests, masks, guide())[0]).any()


def test_another_autoencoder_of_the_same_latents(layout_folder, work, tmp_path):
    """It encodes and decodes in place of the one in the weights, which need not have one."""
    other = load_vae(str(layout_folder))
    torch.manual_seed(5)
    for value in other.decoder.parameters():
        value.add_(torch.randn_like(value) * 0.02)
    other.save_pretrained(tmp_path / 'other')
    shutil.copytree(layout_folder, tmp_path / 'weights', ignore=shutil.ignore_patterns('vae'))
    settings = dict(vae=str(tmp_path / 'other'))
    LayoutUNetGenerator.check_weights(dict(weights=str(tmp_path / 'weights'), **settings), 'g')
    usual, generator, (requests, masks) = build(layout_folder), build(tmp_path / 'weights', **settings), work(2)
    first, second = list(usual.synthesize(requests, masks)), list(generator.synthesize(requests, masks))
    for one, two in zip(first, second):
        assert torch.equal(one.latents, two.latents) and (one.image != two.image).any()
    expected = ((decode(generator.vae, second[0].latents[None])[0] / 2 + 0.5).clamp(0, 1) * 255).round()
    assert np.abs(expected.permute(1, 2, 0).numpy() - second[0].image).max() <= 1
    sources = generator.describe()['weights']
    assert list(sources['vae']['sha256']) == ['diffusion_pytorch_model.safetensors']
    assert not [name for name in sources['generator']['sha256'] if name.startswith('vae')]
    assert (generator.generate(requests, masks, guide())[0] != usual.generate(requests, masks, guide())[0]).any()


def test_the_constructor_leaves_a_training_network_alone(layout_folder):
    whole = build(layout_folder)
    unet = whole.denoiser.network.requires_grad_(True)
    generator = LayoutUNetGenerator(whole.vae, unet, whole.scheduler, image_size=32, num_steps=4)
    images = generator.sample_images([Request(str(n), n) for n in range(3)], [np.zeros((32, 32), np.uint8)] * 3)
    assert images.shape == (3, 3, 32, 32) and images.abs().max() <= 1 and not images.requires_grad
    assert all(p.requires_grad for p in unet.parameters())


def test_encode_and_decode_share_one_scale():
    from diffusers import AutoencoderKL
    vae = AutoencoderKL(block_out_channels=(8, ), norm_num_groups=4, latent_channels=4, scaling_factor=0.2,
                        shift_factor=0.5).eval()
    images = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        latents = encode(vae, images)
        mean = vae.encode(images).latent_dist.mean
        torch.testing.assert_close(latents, (mean - 0.5) * 0.2)
        torch.testing.assert_close(decode(vae, latents), vae.decode(mean).sample, rtol=1e-4, atol=1e-5)


def test_description_is_json(layout_folder):
    described = json.loads(json.dumps(build(layout_folder).describe(), allow_nan=False))
    assert described['scheduler']['_class_name'] == SOLVER and described['dtype'] == 'float32'
    # 'leading' of the folder's scheduler is not carried to another class.
    assert described['scheduler']['timestep_spacing'] == 'linspace'
    assert len(described['weights']['generator']['sha256']['unet/diffusion_pytorch_model.safetensors']) == 64


@pytest.mark.parametrize('mask,message', [
    (np.full((32, 32), 5, np.uint8), 'request r0: id 5 .*5 classes'),
    (np.zeros((32, 32), np.int64), 'uint8'),
    (np.zeros((32, 32, 3), np.uint8), r'\(H, W\)'),
])
def test_a_wrong_mask_names_its_request(layout_folder, work, mask, message):
    with pytest.raises(DistillError, match=message):
        build(layout_folder).generate(work(1)[0], [mask])


@pytest.mark.parametrize('settings,message', [
    (dict(image_size=30), 'multiple of 8'), (dict(image_size=(80000, 80000)), 'has 6,400,000,000 pixels'),
    (dict(image_size=None), 'do not contain their image size: set image_size of the generator'),
    (dict(image_size=36), 'multiple of 8'),
    (dict(dtype='float8'), 'float8'),
    (dict(micro_batch=0), 'micro_batch'),
    (dict(scheduler='PNDMScheduler'), 'PNDMScheduler cannot be guided'),
    (dict(scheduler=dict(type='DDIMScheduler', clip_sample=True)), 'clip_sample=False'),
    (dict(num_steps=0), 'num_steps'),
])
def test_wrong_settings(layout_folder, settings, message):
    with pytest.raises(DistillError, match=message):
        build(layout_folder, **settings)


def test_missing_and_foreign_weights(layout_folder, tmp_path):
    with pytest.raises(DistillError, match='no weights at .*nowhere'):
        build(tmp_path / 'nowhere')
    folder = shutil.copytree(layout_folder, tmp_path / 'copy')
    config = json.loads((folder / 'unet' / 'config.json').read_text())
    (folder / 'unet' / 'config.json').write_text(json.dumps(dict(config, layout_channels=32)))
    with pytest.raises(DistillError, match='do not fit the config: LayoutUNet in .*unet'):
        build(folder)
    (folder / 'unet' / 'config.json').write_text(json.dumps(dict(config, layers_per_block=2)))
    with pytest.raises(DistillError, match='tensors are missing|do not fit'):
        build(folder)
    (folder / 'unet' / 'config.json').write_text(json.dumps(dict(config, layout_factor=8)))
    with pytest.raises(DistillError, match='do not fit the config'):
        build(folder)
    (folder / 'unet' / 'diffusion_pytorch_model.safetensors').write_bytes(b'torn')
    with pytest.raises(DistillError, match='do not fit the config'):
        build(folder)
    (folder / 'vae' / 'config.json').unlink()
    with pytest.raises(DistillError, match='vae'):
        load_vae(str(folder))


def test_a_relative_folder_is_not_asked_of_the_hub(tmp_path, monkeypatch):
    (tmp_path / 'work_dirs').mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('huggingface_hub.snapshot_download', lambda *a, **k: pytest.fail('asked the hub'))
    with pytest.raises(DistillError, match='no weights at work_dirs/streets'):
        build('work_dirs/streets')


def test_one_guidance_serves_two_generators(layout_folder, work, tmp_path):
    """Each decodes with its own autoencoder, and leaves the guidance as it is."""
    from diffusers import AutoencoderTiny
    torch.manual_seed(5)
    AutoencoderTiny(encoder_block_out_channels=(8, ) * 3, decoder_block_out_channels=(8, ) * 3,
                    num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)).save_pretrained(tmp_path)
    first, second, (requests, masks) = build(layout_folder), build(layout_folder, guidance_vae=str(tmp_path)), work(1)
    shared = guide()
    before = dict(vars(shared))
    first.generate(requests, masks, shared)
    assert np.array_equal(second.generate(requests, masks, shared)[0], second.generate(requests, masks, guide())[0])
    assert vars(shared) == before


def test_each_image_has_a_trace_of_guidance(layout_folder, work):
    generator, (requests, masks) = build(layout_folder), work(5)
    traces = [made.trace for made in generator.synthesize(requests, masks, guide())]
    assert len({trace.step for trace in traces}) == 5 and all(0 < trace.step < 1 for trace in traces)
    assert set(traces[0].losses) == {'SegmentationConsistency', 'ClassFeatureMatching'}
    for n in (4, 1):  # rows that fill up a batch count for nothing
        alone, = generator.synthesize(requests[n:n + 1], masks[n:n + 1], guide())
        assert alone.trace == traces[n]
    assert next(generator.synthesize(requests[:1], masks[:1])).trace is None


def test_guidance_of_no_step_is_refused(layout_folder, work):
    with pytest.raises(DistillError, match=r'guidance: window=\(0.4, 0.45\) .* guides none of the steps'):
        build(layout_folder).generate(*work(1), Guidance(guide().objectives, window=(0.4, 0.45)))


def test_a_linear_gradient_without_signal_is_refused(layout_folder, work):
    zero_snr = dict(type='DDIMScheduler', rescale_betas_zero_snr=True, timestep_spacing='trailing')
    guidance = Guidance(guide().objectives, window=(0, 1), through='linear')
    with pytest.raises(DistillError, match="guidance: through='linear' divides by the signal, .* start window at"):
        build(layout_folder, scheduler=zero_snr).generate(*work(1), guidance)


def test_an_image_that_is_not_finite_although_its_latents_are(layout_folder, work):
    generator = build(layout_folder, num_steps=2, micro_batch=2)
    requests, masks = work(2)
    plain = generator.generate(requests, masks)
    generator.vae.decoder.register_forward_hook(
        lambda module, given, out: out.index_put((torch.tensor(1), torch.tensor(0)), torch.tensor(float('nan'))))
    first, second = generator.synthesize(requests, masks)
    assert first.error is None and np.array_equal(first.image, plain[0])
    assert second.image is None and 'autoencoder' in second.error and second.latents.isfinite().all()
    with pytest.raises(DistillError, match='request r1: the image that the autoencoder made'):
        generator.generate(requests, masks)
