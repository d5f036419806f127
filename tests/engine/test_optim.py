"""Mixed precision on a CPU."""
import torch
from mmengine.optim import build_optim_wrapper


def test_bfloat16_wrapper_trains_as_float32_does_up_to_rounding():
    """The forward pass is in bfloat16, weights and gradients stay float32, and a step is nearly the float32 one."""
    torch.manual_seed(0)
    x, y, start = torch.randn(64, 8), torch.randn(64, 4), torch.nn.Linear(8, 4).state_dict()
    after = {}
    for kind in ('OptimWrapper', 'mmdistill.BFloat16OptimWrapper'):
        net = torch.nn.Linear(8, 4)
        net.load_state_dict(start)
        wrapper = build_optim_wrapper(net, dict(type=kind, optimizer=dict(type='SGD', lr=0.5)))
        with wrapper.optim_context(net):
            output = net(x)
            loss = (output.float() - y).square().mean()
        wrapper.update_params(loss)
        assert net.weight.dtype is torch.float32
        after[kind] = output.dtype, net.weight.detach()
    (full, expected), (low, weight) = after.values()
    assert full is torch.float32 and low is torch.bfloat16
    step = (expected - start['weight']).abs().max()
    assert 0 < (weight - expected).abs().max() < 0.02 * step
