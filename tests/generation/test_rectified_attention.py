import math

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from mmdistill.generation.conditions import Condition
from mmdistill.generation.rectified_attention import (OPEN, RectifiedAttention, RectifiedDenoiser, attention_bias,
                                                      bias_of_levels, level_sizes)

# Two label maps, and the class of each of 77 tokens: begin, words of one to three tokens, end and padding.
SLOTS = torch.full((2, 77), OPEN)
SLOTS[0, 1:7] = torch.tensor([0, 2, 2, 2, 4, OPEN])
SLOTS[1, 1:4] = torch.tensor([1, 3, 3])


def maps(side, classes=5, seed=0):
    masks = torch.randint(0, classes + 1, (2, side, side), generator=torch.Generator().manual_seed(seed))
    return torch.where(masks == classes, 255, masks)


def literal(attn, hidden, prompt, masks, slots, size, factor):
    """Naive reference over pixels and tokens, from the weights of the module."""
    batch, pixels, _ = hidden.shape
    heads, (height, width) = attn.heads, size
    query, key, value = attn.to_q(hidden), attn.to_k(prompt), attn.to_v(prompt)
    dim = query.shape[2] // heads
    out = torch.zeros_like(query)
    for row in range(batch):
        for pixel in range(pixels):
            y, x = divmod(pixel, width)
            label = masks[row, y * masks.shape[1] // height, x * masks.shape[2] // width]
            scores, reads = [], []
            for token in range(prompt.shape[1]):
                pairs = query[row, pixel].view(heads, dim) * key[row, token].view(heads, dim)
                scores.append(pairs.sum(1) / math.sqrt(dim))
                reads.append(bool(slots[row, token] == OPEN or slots[row, token] == label))
            weights = torch.stack(scores).exp()  # (L, heads); scores are small here
            rectified = weights * torch.tensor(reads)[:, None]
            mixed = (1 - factor) * weights / weights.sum(0) + factor * rectified / rectified.sum(0)
            out[row, pixel] = (mixed[:, :, None] * value[row].view(-1, heads, dim)).sum(0).flatten()
    return attn.to_out[0](out)


@pytest.mark.parametrize('side, channels, factor', [(8, 1280, 1.0), (16, 640, 1.0), (8, 320, 0.3)])
def test_equals_a_double_loop_over_pixels_and_tokens(side, channels, factor):
    """Layers of Stable Diffusion 1.x, 8 heads, two images with maps and prompts of their own."""
    torch.manual_seed(0)
    attn = Attention(channels, cross_attention_dim=768, heads=8, dim_head=channels // 8,
                     processor=RectifiedAttention(factor)).double()
    hidden = torch.randn(2, side**2, channels, dtype=torch.float64)
    prompt, masks = torch.randn(2, 77, 768, dtype=torch.float64), maps(8 * side)
    bias = attention_bias(masks, SLOTS, [(side, side)], torch.float64)
    with torch.no_grad():
        found = attn(hidden, prompt, bias=bias_of_levels(bias, [(side, side)], 77))
        expected = literal(attn, hidden, prompt, masks, SLOTS, (side, side), factor)
        plain = attn(hidden, prompt)
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)
    assert (found - plain).abs().max() > 1e-3


def test_one_class_reads_all_of_its_words():
    torch.manual_seed(0)
    attn = Attention(64, cross_attention_dim=32, heads=4, dim_head=16, processor=RectifiedAttention()).double()
    hidden, prompt = torch.randn(2, 64, 64).double(), torch.randn(2, 77, 32).double()
    slots = torch.where(SLOTS == OPEN, OPEN, 3)
    bias = attention_bias(torch.full((2, 32, 32), 3), slots, [(8, 8)], torch.float64)
    assert bias[..., :77].eq(0).all()
    plain = AttnProcessor2_0()(attn, hidden, prompt)
    assert torch.allclose(attn(hidden, prompt, bias=bias_of_levels(bias, [(8, 8)], 77)), plain, rtol=0, atol=1e-12)


def test_readers_of_each_format():
    masks = torch.tensor([[[0, 9, 255, 9], [9, 9, 9, 9], [2, 9, 4, 9], [9, 9, 9, 9]]])
    rows = attention_bias(masks, SLOTS[:1], [(2, 2)], torch.float32)[0, :, :77] == 0
    assert rows[:, 0].all() and rows[:, 6:].all()  # begin, the word without a region, end and padding
    assert rows[:, 1:6].tolist() == [[True, False, False, False, False], [False] * 5,
                                     [False, True, True, True, False], [False, False, False, False, True]]


def test_levels_of_a_wide_image():
    sizes = level_sizes((4, 8), 3)
    assert sizes == [(4, 8), (2, 4), (1, 2)]
    masks = torch.arange(2).repeat_interleave(32).expand(1, 32, 64).contiguous()
    bias = attention_bias(masks, torch.tensor([[OPEN, 0, 1, OPEN]]), sizes, torch.float32)
    assert bias.shape == (1, 32 + 8 + 2, 8) and all(stride % 8 == 0 for stride in bias.stride()[:-1])
    views = bias_of_levels(bias, sizes, 4)
    assert {count: view.shape for count, view in views.items()} == {32: (1, 1, 32, 4), 8: (1, 1, 8, 4), 2: (1, 1, 2, 4)}
    assert views[2][0, 0].eq(0).tolist() == [[True, True, False, True], [True, False, True, True]]
    assert views[32][0, 0, :, 1].eq(0).view(4, 8).tolist() == [[True] * 4 + [False] * 4] * 4


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(sample_size=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
                                attention_head_dim=4, down_block_types=('CrossAttnDownBlock2D', ) * 2,
                                up_block_types=('CrossAttnUpBlock2D', ) * 2)
    return RectifiedDenoiser(unet.eval().requires_grad_(False))


def condition(denoiser, masks, slots, dtype=torch.float32):
    prompt = torch.randn(len(slots), 77, 32, generator=torch.Generator().manual_seed(1))
    return Condition(dict(prompt=prompt, bias=attention_bias(masks, slots, denoiser.sizes((8, 8)), dtype)))


def test_only_cross_attention_changes(denoiser):
    modules = [module for module in denoiser.modules() if isinstance(module, Attention)]
    assert all(isinstance(module.processor, RectifiedAttention) for module in modules)
    crossed = [module for module in modules if module.to_k.in_features == 32 != module.to_q.in_features]
    seen = []
    for module in modules:
        module.register_forward_hook(lambda m, args, kwargs, out: seen.append((m, kwargs)), with_kwargs=True)
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([500, 500])
    before = denoiser.unet.attn_processors
    out = denoiser(x, t, condition(denoiser, maps(32), SLOTS))
    assert {module for module, kwargs in seen if kwargs['encoder_hidden_states'] is not None} >= set(crossed)
    assert denoiser.unet.attn_processors == before
    open_all = condition(denoiser, maps(32), torch.full_like(SLOTS, OPEN))
    plain = UNet2DConditionModel.from_config(denoiser.unet.config)
    plain.load_state_dict(denoiser.unet.state_dict())
    expected = plain.eval()(x, t, open_all['prompt']).sample
    assert torch.allclose(denoiser(x, t, open_all), expected, atol=1e-5)
    assert (out - expected).abs().max() > 1e-3
    unmixed = RectifiedDenoiser(plain, 0.0)(x, t, condition(denoiser, maps(32), SLOTS))
    assert torch.equal(unmixed, expected)


def test_a_class_that_vanishes_at_a_coarse_level(denoiser):
    masks = torch.zeros(1, 32, 32, dtype=torch.long)
    masks[0, 1::2, 1::2] = 2  # no level sees it
    masks[0, :, 4] = 4  # the finest one alone does
    state = condition(denoiser, masks, SLOTS[:1])
    bias = bias_of_levels(state['bias'], denoiser.sizes((8, 8)), 77)
    assert bias[64][0, 0, :, 5].eq(0).sum() == 8 and not bias[16][0, 0, :, 5].eq(0).any()
    assert not bias[64][0, 0, :, 2].eq(0).any()
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    out = denoiser(x, torch.tensor([500]), state)
    out.sum().backward()
    assert out.isfinite().all() and x.grad.isfinite().all()
    assert denoiser(x, torch.tensor([500]), condition(denoiser, masks.fill_(255), SLOTS[:1])).isfinite().all()


@pytest.mark.parametrize('factor', [1.0, 0.4])
def test_gradients_and_their_checkpoints(denoiser, factor):
    denoiser = RectifiedDenoiser(denoiser.unet, factor)
    state, t = condition(denoiser, maps(32), SLOTS), torch.tensor([300, 300])
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            denoiser.unet.enable_gradient_checkpointing()
        x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
        loss = denoiser(x, t, state).square().sum()
        denoiser(x.detach(), t, condition(denoiser, maps(32, seed=1), SLOTS))  # another batch before the backward pass
        gradients += [*torch.autograd.grad(loss, x)]
    assert gradients[0].abs().max() > 0 and torch.allclose(*gradients, rtol=1e-4, atol=1e-6)


def test_bfloat16(denoiser):
    x, t, masks = torch.randn(2, 4, 8, 8), torch.tensor([500, 500]), maps(32)
    expected = denoiser(x, t, condition(denoiser, masks, SLOTS))
    denoiser.unet.to(torch.bfloat16)
    found = denoiser(x, t, condition(denoiser, masks, SLOTS, torch.bfloat16))
    assert found.dtype is torch.bfloat16 and torch.allclose(found.float(), expected, atol=0.1)
