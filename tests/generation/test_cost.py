"""Estimates against the same generators: calls counted by hand, and in the loop."""
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmdistill.generation import Img2ImgGenerator, LayoutUNetGenerator
from mmdistill.generation.autoencoders import encode
from mmdistill.generation.cost import GIB, Cost, Pace, Workload, estimate
from mmdistill.generation.counting import META
from mmdistill.generation.outline import outline
from mmdistill.guidance import Guidance, SegmentationConsistency

SETTINGS = dict(image_size=32, num_steps=4, scheduler='DPMSolverMultistepScheduler', micro_batch=2, cfg_scale=1.5)


def segmentor():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 5, 1)).requires_grad_(False)


def stand(space):
    return SimpleNamespace(space=space, weight=1.0)


@pytest.mark.parametrize('through', [None, 'x0', 'xt'])
@pytest.mark.parametrize('scale', [1.5, 1.0])
def test_the_count_is_that_of_a_real_run(layout_folder, work, through, scale):
    settings = dict(SETTINGS, weights=str(layout_folder), cfg_scale=scale)
    net, (requests, _) = segmentor(), work(4)
    guided = through and dict(window=(0.25, 1.0), through=through)
    guidance = Guidance([SegmentationConsistency(net)], **guided) if guided else None
    generator = LayoutUNetGenerator.from_pretrained(**settings)
    # Plain products for attention: those of the CPU's own kernel are not counted.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        x, condition = torch.randn(2, *generator.latent_shape), generator.condition(requests[:2], torch.zeros(
            2, 32, 32, dtype=torch.long))
        for i in range(4):  # by the loop's own parts: the counter's hooks refuse torch.autograd.grad of a leaf
            active = guidance is not None and i in guidance.steps(4)
            with torch.set_grad_enabled(bool(active) and through == 'xt'):
                leaf = x.detach().requires_grad_(torch.is_grad_enabled())
                out = generator.cfg(generator.denoiser, leaf * 1, torch.tensor(5), condition)
                x0 = generator.process.x0(leaf, out, 0)
            if active:
                leaf = leaf if through == 'xt' else x0.detach().requires_grad_()
                image = generator.guidance_decode((x0 if through == 'xt' else leaf) * 1)
                SegmentationConsistency(net)(image, condition).sum().backward()
        with torch.no_grad():
            generator.vae.decode(x)
    drawn = outline(LayoutUNetGenerator, settings)
    net = net.to(META)
    cost = estimate(drawn, Workload([2]), guided and Guidance(dict(a=stand('image')), **guided), net,
                    lambda images: (net(images), []))
    # Back through attention, a fused kernel makes the scores again.
    assert cost.total * 1e12 == pytest.approx(counter.get_total_flops(), rel=0.01 if through == 'xt' else 1e-9)
    assert set(cost.tflop) == {'sampling', 'decoding', *(['guidance'] if guided else [])}


def test_batches_are_filled_up_and_devices_share_the_work(layout_folder):
    drawn = outline(LayoutUNetGenerator, dict(SETTINGS, weights=str(layout_folder)))
    whole, filled = (estimate(drawn, Workload(batches)) for batches in ([4, 4], [3, 3]))
    assert filled.total == whole.total and (filled.images, whole.images) == (6, 8)
    shared = estimate(drawn, Workload([4, 4], processes=2))
    assert shared.total == whole.total and shared.hours(2.0) == pytest.approx(whole.hours(2.0) / 2)
    assert whole.hours(1.0) == pytest.approx(whole.total / 3600)


def test_real_images_are_counted_apart(layout_folder):
    drawn, net = outline(LayoutUNetGenerator, dict(SETTINGS, weights=str(layout_folder))), segmentor().to(META)
    cost = estimate(drawn, Workload([2], encoded=70, measured=32), None, net, lambda x: (net(x), [net[0](x)]))
    vae = LayoutUNetGenerator.from_pretrained(str(layout_folder), **SETTINGS).vae
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encode(vae, torch.zeros(1, 3, 32, 32))
    assert cost.tflop['encoding'] * 1e12 == pytest.approx(70 * counter.get_total_flops())
    assert cost.tflop['statistics'] > 0 and cost.synthesis == cost.tflop['sampling'] + cost.tflop['decoding']


def test_strength_counts_from_latents_alone(sd_folder):
    drawn = outline(Img2ImgGenerator, dict(weights=str(sd_folder), scheduler='DDIMScheduler', num_steps=10,
                                           strength=0.7, micro_batch=2))
    noise, started = (estimate(drawn, Workload([2], from_latents=value)).tflop for value in (False, True))
    assert started['sampling'] == pytest.approx(0.7 * noise['sampling'])
    assert started['decoding'] == noise['decoding']


def test_memory_grows_with_the_rows_and_with_the_gradient(layout_folder):
    def cost(rows, guidance=None, **settings):
        drawn = outline(LayoutUNetGenerator, dict(SETTINGS, weights=str(layout_folder), micro_batch=rows, **settings))
        return estimate(drawn, Workload([rows]), guidance)

    two, four = cost(2), cost(4)
    assert two.weights == four.weights and four.stages['sampling'] == pytest.approx(2 * two.stages['sampling'], rel=0.1)
    x0, xt = (cost(4, Guidance(dict(a=stand('image')), through=through)) for through in ('x0', 'xt'))
    assert x0.stages['sampling'] == four.stages['sampling'] < xt.stages['guidance'] and x0.peak < xt.peak
    latent = cost(4, Guidance(dict(a=stand('latent'))))
    assert latent.tflop['guidance'] == 0 and latent.peak == pytest.approx(four.peak, rel=0.2)


def test_bfloat16_halves_the_denoiser(sd_folder):
    full, half = (estimate(outline(Img2ImgGenerator, dict(weights=str(sd_folder), scheduler='DDIMScheduler',
                                                          dtype=dtype)), Workload([8]))
                  for dtype in ('float32', 'bfloat16'))
    assert half.stages['sampling'] == pytest.approx(0.5 * full.stages['sampling'], rel=0.3)
    assert half.weights < full.weights and half.stages['decoding'] == full.stages['decoding']
    assert half.tflop == full.tflop


def test_the_weights_are_those_of_the_networks(layout_folder):
    loaded, net = LayoutUNetGenerator.from_pretrained(str(layout_folder), **SETTINGS), segmentor()
    networks = loaded.vae, loaded.denoiser, net
    expected = sum(p.numel() * 4 for network in networks for p in network.state_dict().values())
    drawn = outline(LayoutUNetGenerator, dict(SETTINGS, weights=str(layout_folder)))
    assert estimate(drawn, Workload([2]), None, net).weights * GIB == expected


def test_pace_leaves_out_the_first_batch_once_there_is_a_second():
    pace = Pace(100.0)
    assert pace.rate == 0 and math.isinf(pace.seconds_left)
    pace.update(10.0, 100.0)  # slow: kernels are chosen
    assert pace.rate == 0.1 and pace.seconds_left == pytest.approx(900)
    pace.update(10.0, 10.0)
    assert pace.rate == 1.0 and pace.seconds_left == pytest.approx(80)
    pace.update(20.0, 40.0)
    assert pace.rate == pytest.approx(0.6) and pace.seconds_left == pytest.approx(100)
    pace.update(1000.0, 10.0)
    assert pace.seconds_left == 0


def test_a_cost_adds_up():
    cost = Cost(4, 2, dict(sampling=3.0, encoding=1.0), 2.0, dict(sampling=1.0, encoding=4.0))
    assert (cost.total, cost.synthesis, cost.peak) == (4.0, 3.0, 6.0)
