"""Features of noisy latents from inner layers of a denoiser."""
from typing import Any, List, Optional, Tuple

import torch
from torch import Tensor, nn

from ..errors import DistillError
from .conditions import Condition


class _LastLayer(Exception):
    """Stops a forward pass after the last layer that is needed."""


def inner_layers(denoiser: Any, blocks: Optional[Tuple[int, int]] = None) -> List[nn.Module]:
    """The layers for :func:`inner_features`.

    Args:
        denoiser: See :mod:`~mmdistill.generation.denoisers`.
        blocks: First and last transformer block of a DiT, counted from 0; None for a UNet, which has one middle block.

    Raises:
        DistillError: The network does not have these layers.
    """
    network = _network(denoiser)
    name = type(network).__name__
    stages = getattr(network, 'transformer_blocks', None)
    if (stages is None) != (blocks is None):
        raise DistillError(f'blocks={blocks} is for a DiT, and {name} has a middle block: leave blocks out'
                           if stages is None else
                           f'{name} has {len(stages)} blocks: give blocks=(first, last), (4, 12) of 28 in the paper')
    if stages is None:
        return [getattr(network, 'unet', network).mid_block]
    first, last = blocks  # type: ignore[misc]
    if not 0 <= first <= last < len(stages):
        raise DistillError(f'blocks={(first, last)}: {name} has blocks 0 to {len(stages) - 1}')
    return list(stages[first:last + 1])


def inner_features(denoiser: Any, layers: List[nn.Module], x: Tensor, t: Tensor, condition: Condition) -> Tensor:
    """The outputs of inner layers, averaged over their positions and concatenated; differentiable.

    The forward pass stops after the last of the ``layers``.

    Args:
        denoiser, layers: See :func:`inner_layers`; layers in the order of the network.
        x: (B, C, h, w) noisy latents.
        t: (B,) timesteps.
        condition: Condition of B rows; only the conditional pass is computed.

    Returns:
        (B, D) float32.
    """
    found: List[Tensor] = []
    checkpointed = getattr(_network(denoiser), 'is_gradient_checkpointing', False)  # layers then run twice

    def take(module: nn.Module, args: Any, output: Tensor) -> None:
        found.append(output.float().mean(1 if output.ndim == 3 else (2, 3)))  # tokens (B, N, D), or maps (B, D, h, w)
        if module is layers[-1] and not checkpointed:
            raise _LastLayer

    handles = [layer.register_forward_hook(take) for layer in layers]
    try:
        denoiser(x, t, condition)
    except _LastLayer:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(found, 1)


def _network(denoiser: Any) -> Any:
    return denoiser.network if hasattr(denoiser, 'network') else denoiser.unet
