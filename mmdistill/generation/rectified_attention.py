"""Rectified cross-attention: a pixel only attends to the words of its class (FreestyleNet, arXiv 2303.14412)."""
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor, nn
from torch.nn import functional as F

from .conditions import Condition

#: Replaces the class id for tokens to which all pixels attend: begin, end, padding, words without a region.
OPEN = -1


def level_sizes(size: Tuple[int, int], levels: int) -> List[Tuple[int, int]]:
    """(h, w) of the feature maps at each level of a U-Net, for latents of ``size`` (h, w)."""
    return [(size[0] >> level, size[1] >> level) for level in range(levels)]


def attention_bias(masks: Tensor, slots: Tensor, sizes: Sequence[Tuple[int, int]], dtype: torch.dtype) -> Tensor:
    """The bias that rectification adds to attention scores: 0 if a pixel may attend to a token, otherwise -inf.

    The mask at each level is the nearest-neighbour reduction of the full mask, as in the released code: the upper left
    pixel of each cell. Small classes can vanish. No row is entirely -inf, since all pixels attend to open tokens.

    Args:
        masks: (B, H, W) int64 train ids, 255 = ignore; such pixels only attend to open tokens.
        slots: (B, L) int64, class id of each token, or :data:`OPEN`; the first token (begin) must be open.
        sizes: (h, w) of each level.
        dtype: Type of the network.

    Returns:
        (B, N, L'), with the N pixels of all levels in sequence, row by row. L' is L rounded up to a multiple of 8,
        since GPU kernels require aligned rows; the last L' - L columns are not used.
    """
    planes = masks[:, None].to(torch.uint8)
    ids = torch.cat([F.interpolate(planes, size, mode='nearest').flatten(1) for size in sizes], 1)
    reads = (ids[:, :, None] == slots[:, None]) | (slots == OPEN)[:, None]
    length = slots.shape[1]
    bias = torch.zeros(*ids.shape, -(-length // 8) * 8, dtype=dtype, device=masks.device)
    bias[..., :length].masked_fill_(~reads, float('-inf'))
    return bias


def bias_of_levels(bias: Tensor, sizes: Sequence[Tuple[int, int]], length: int) -> Dict[int, Tensor]:
    """Views (B, 1, h * w, L) of an :func:`attention_bias`, by the number of pixels h * w of the level."""
    counts = [height * width for height, width in sizes]
    return {count: rows[:, None, :, :length] for count, rows in zip(counts, bias.split(counts, 1))}


class RectifiedAttention(AttnProcessor2_0):
    r"""Attention processor for a stock U-Net that rectifies cross-attention if it gets a bias.

    .. math:: P = (1 - \lambda) \, \mathrm{softmax}(S) + \lambda \, \mathrm{softmax}(S + b), \quad S = Q K^T / \sqrt{d}

    with the bias b of :func:`attention_bias`, equal for all heads. Self-attention is unchanged.

    Args:
        factor: λ in [0, 1]: 1 is full rectification (FreestyleNet), 0 plain attention. Full rectification loses context
            between regions; MatchMask (CVPR 2026) therefore mixes both, with a learned factor per layer.

    Example:
        >>> attention = Attention(8, cross_attention_dim=6, heads=2, dim_head=4, processor=RectifiedAttention())
        >>> bias = {4: torch.zeros(1, 1, 4, 3)}  # for features of 4 pixels and 3 tokens; 0: all pixels attend to all
        >>> attention(torch.zeros(1, 4, 8), encoder_hidden_states=torch.zeros(1, 3, 6), bias=bias).shape
        torch.Size([1, 4, 8])
    """

    def __init__(self, factor: float = 1.0):
        super().__init__()
        self.factor = factor

    def __call__(self, attn: Attention, hidden_states: Tensor,  # type: ignore[override]
                 encoder_hidden_states: Optional[Tensor] = None, attention_mask: Optional[Tensor] = None,
                 temb: Optional[Tensor] = None, bias: Optional[Mapping[int, Tensor]] = None) -> Tensor:
        """Features (B, h * w, C), token embeddings (B, L, D) → (B, h * w, C)."""
        if encoder_hidden_states is None or bias is None or self.factor == 0:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        projected = attn.to_q(hidden_states), attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        query, key, value = (part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in projected)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[hidden_states.shape[1]])
        if self.factor < 1:
            out = torch.lerp(F.scaled_dot_product_attention(query, key, value), out, self.factor)
        return attn.to_out[1](attn.to_out[0](out.transpose(1, 2).flatten(2)))


class RectifiedDenoiser(nn.Module):
    """A stock ``UNet2DConditionModel`` with :class:`RectifiedAttention` processors, which are set in place.

    Args:
        unet: The UNet.
        factor: See :class:`RectifiedAttention`.
    """

    def __init__(self, unet, factor: float = 1.0):
        super().__init__()
        self.unet, self.factor = unet, factor
        unet.set_attn_processor(RectifiedAttention(factor))

    def sizes(self, latents: Tuple[int, int]) -> List[Tuple[int, int]]:
        """(h, w) of the feature maps at each level for latents of this size; see :func:`level_sizes`."""
        return level_sizes(latents, len(self.unet.config.block_out_channels))

    def forward(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict from latents (B, C, h, w), timesteps (B,), a condition with ``prompt`` (B, L, D) and ``bias``
        (:func:`attention_bias`)."""
        prompt, (height, width) = condition['prompt'].to(self.unet.dtype), x.shape[-2:]
        bias = bias_of_levels(condition['bias'], self.sizes((height, width)), prompt.shape[1])
        return self.unet(x.to(self.unet.dtype), t, encoder_hidden_states=prompt, return_dict=False,
                         cross_attention_kwargs=dict(bias=bias))[0]
