"""FLOPs and memory of networks on the meta device, with PyTorch's FLOP counter."""
from contextlib import nullcontext
from typing import Any, Callable, ContextManager, Iterable, NamedTuple
from weakref import WeakKeyDictionary, finalize

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import FlopCounterMode

META = torch.device('meta')
_HALF = {F.conv2d, F.linear, torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, torch.baddbmm, torch.addmm,
         F.scaled_dot_product_attention}
_FULL = {F.group_norm, F.layer_norm, F.softmax, F.log_softmax, Tensor.softmax, Tensor.log_softmax, F.nll_loss}


class Counted(NamedTuple):
    """The cost of a call."""
    flops: int  # 2 per multiply-add of matrix products, convolutions and attention
    bytes: int  # peak of newly allocated memory


def count(function: Callable[[], Any]) -> Counted:
    """Run a function on meta tensors, which only have shapes and dtypes, and count its cost.

    Memory is the sum of the sizes of all tensors that are alive at the same time, without the fragmentation of the
    allocator and the workspace of convolutions. Attention is counted as one fused kernel without a matrix of all pairs,
    as PyTorch uses on a GPU.

    Args:
        function: A function without arguments. Tensors that it creates must be on :data:`META`, and inputs of networks
            must not be leaves that require a gradient.

    Example:
        >>> with META:
        ...     layer = torch.nn.Linear(8, 4, bias=False)
        >>> count(lambda: layer(torch.empty(3, 8, device='meta')))
        Counted(flops=192, bytes=144)
    """
    with _Fused(), FlopCounterMode(display=False) as flops, _LiveBytes() as live:
        function()
    return Counted(flops.get_total_flops(), live.peak)


def autocast_like_cuda(enabled: bool = True) -> ContextManager:
    """Emulates ``torch.autocast('cuda', torch.bfloat16)`` for meta tensors, which autocast does not support.

    Products are in bfloat16, normalisations and softmax in float32.
    """
    return _Autocast() if enabled else nullcontext()


def parameter_bytes(networks: Iterable[torch.nn.Module]) -> int:
    """Bytes of the networks' parameters and buffers; shared ones are counted once."""
    tensors = {id(tensor): tensor for network in networks for tensor in [*network.parameters(), *network.buffers()]}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


class _Fused(TorchFunctionMode):
    """Replaces attention by one fused kernel."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return (_attention if func is F.scaled_dot_product_attention else func)(*args, **(kwargs or {}))


class _Autocast(TorchFunctionMode):

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _HALF or func in _FULL:
            dtype = torch.bfloat16 if func in _HALF else torch.float32
            args, kwargs = tree_map(lambda x: x.to(dtype) if _is_float(x) else x, (args, kwargs))
        return func(*args, **kwargs)


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask=None, dropout_p: float = 0.0,
               is_causal: bool = False, scale=None, enable_gqa: bool = False) -> Tensor:
    if query.dim() != 4 or query.device != META or enable_gqa:
        return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale,
                                              enable_gqa=enable_gqa)
    bias = None if attn_mask is None else attn_mask.to(query.dtype).expand(*query.shape[:3], key.shape[2])
    grad = query.requires_grad or key.requires_grad or value.requires_grad
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, grad, dropout_p, is_causal, scale=scale)[0]


class _LiveBytes(TorchDispatchMode):
    """Tracks the peak memory of tensors created inside this mode."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: WeakKeyDictionary = WeakKeyDictionary()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for tensor in tree_leaves((args, kwargs)):  # weights, inputs and their views are not counted
            if isinstance(tensor, Tensor):
                self._seen.setdefault(tensor.untyped_storage(), True)
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.untyped_storage() not in self._seen:
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        self._seen[storage] = True
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        finalize(storage, self._free, storage.nbytes())

    def _free(self, size: int) -> None:
        self.now -= size
