"""FLOPs and bytes on meta tensors against the known values of each operation."""
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdistill.generation.counting import META, autocast_like_cuda, count, parameter_bytes


def empty(*shape, dtype=torch.float32, grad=False):
    return torch.empty(*shape, dtype=dtype, device=META, requires_grad=grad)


def test_products_count_two_for_each_multiply_add():
    assert count(lambda: empty(3, 8) @ empty(8, 4)) == (2 * 3 * 8 * 4, 4 * (3 * 8 + 8 * 4 + 3 * 4))
    assert count(lambda: F.conv2d(empty(2, 3, 8, 8), empty(5, 3, 3, 3), padding=1)).flops == 2 * 2 * 5 * 64 * 27
    assert count(lambda: empty(2, 2) + 1).flops == 0


def test_the_peak_is_of_tensors_that_live_at_once():
    x = empty(256)  # there before: not counted

    def chain():
        y = x + 1
        for _ in range(5):
            y = y + 1  # two live at a time

    assert count(chain).bytes == 2 * 1024
    kept = []
    assert count(lambda: kept.extend(x + i for i in range(5))).bytes == 5 * 1024
    assert count(lambda: [x.view(16, 16) for _ in range(9)]).bytes == 0  # views take nothing
    assert count(lambda: x[1:].add_(1)).bytes == 0


def test_a_graph_keeps_what_its_gradient_needs():
    with META:
        net = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(64, 64), nn.SiLU())))
    net.requires_grad_(False)

    def run(grad):
        x = empty(16, 64, grad=grad) * 1
        with torch.set_grad_enabled(grad):
            out = net(x)
        if grad:
            out.sum().backward()

    plain, graph = count(lambda: run(False)), count(lambda: run(True))
    assert graph.flops == 2 * plain.flops == 2 * 4 * 2 * 16 * 64 * 64  # one product back for each
    assert graph.bytes > plain.bytes + 3 * 16 * 64 * 4


@pytest.mark.parametrize('mask', [None, torch.bool, torch.float32])
@pytest.mark.parametrize('grad', [False, True])
def test_attention_keeps_no_matrix_of_all_pairs(mask, grad):
    def run():
        q, k = (empty(2, 4, length, 8, grad=grad) for length in (1024, 77))
        bias = None if mask is None else empty(2, 1, 1024, 77, dtype=mask)
        out = F.scaled_dot_product_attention(q, k, k, attn_mask=bias)
        assert out.shape == q.shape
        if grad:
            out.sum().backward()

    counted = count(run)
    forward = 2 * 2 * 2 * 4 * 1024 * 77 * 8
    assert counted.flops == forward * (3.5 if grad else 1)  # five products back, with the scores made again
    if mask is None:
        assert counted.bytes < 2 * 4 * 1024 * 77 * 4  # less than the scores alone


def test_autocast_is_that_of_a_gpu():
    with META:
        conv, norm = nn.Conv2d(4, 8, 3), nn.GroupNorm(2, 8)
    seen = []

    def run():
        with autocast_like_cuda():
            out = conv(empty(1, 4, 8, 8))
            seen.extend([out.dtype, norm(out).dtype, F.silu(out).dtype, (out @ out.transpose(2, 3)).dtype,
                         out.softmax(1).dtype])

    count(run)
    assert seen == [torch.bfloat16, torch.float32, torch.bfloat16, torch.bfloat16, torch.float32]
    with autocast_like_cuda(False):
        assert conv(empty(1, 4, 8, 8)).dtype is torch.float32


def test_shared_parameters_count_once():
    with META:
        layer = nn.Linear(10, 10, bias=False)
    assert parameter_bytes([layer, nn.Sequential(layer), layer.bfloat16()]) == 200


def test_checkpointing_trades_time_for_memory():
    from torch.utils.checkpoint import checkpoint
    with META:
        layers = nn.ModuleList(nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
                               for _ in range(8)).requires_grad_(False)

    def run(save):
        x = empty(16, 64, grad=True) * 1
        for layer in layers:
            x = layer(x) if not save else checkpoint(layer, x, use_reentrant=False)
        x.sum().backward()

    usual, saving = count(lambda: run(False)), count(lambda: run(True))
    assert saving.bytes < usual.bytes and saving.flops == 1.5 * usual.flops
