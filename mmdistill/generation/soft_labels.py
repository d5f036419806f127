"""Soft labels for diffusers' DiT, whose label embeddings only accept class ids."""
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DistillError


class SoftLabelConditioning(nn.Module):
    """Timestep and label embedding that also accepts embeddings as labels, shared by all blocks of a DiT.

    For class ids, it is bit-equal to the stock module in evaluation mode. In training mode, it drops no labels.

    Args:
        stock: The ``CombinedTimestepLabelEmbeddings`` whose parameters are used.
    """

    def __init__(self, stock: Any):
        super().__init__()
        self.time_proj, self.timestep_embedder = stock.time_proj, stock.timestep_embedder
        self.table: nn.Embedding = stock.class_embedder.embedding_table  # the last row is the null class

    def forward(self, timestep: Tensor, class_labels: Tensor, hidden_dtype=None) -> Tensor:
        """Timesteps (B,) and class ids (B,) or embeddings (B, D) → (B, D)."""
        time = self.timestep_embedder(self.time_proj(timestep).to(dtype=hidden_dtype))
        soft = class_labels.is_floating_point()
        return time + (class_labels.to(self.table.weight.dtype) if soft else self.table(class_labels))


def install_soft_labels(transformer: Any) -> SoftLabelConditioning:
    """Modify a ``DiTTransformer2DModel`` in place so that it accepts embeddings (B, D) as labels.

    Each block has a copy of the embedding, and the last layer uses the copy of the first block. One module replaces all
    copies and frees their memory. Calling this function again has no effect.

    Raises:
        DistillError: The copies differ.
    """
    norms = [block.norm1 for block in transformer.transformer_blocks]
    if isinstance(norms[0].emb, SoftLabelConditioning):
        return norms[0].emb
    expected = norms[0].emb.state_dict()
    for index, norm in enumerate(norms):
        for key, value in norm.emb.state_dict().items():
            if not torch.equal(value, expected[key]):
                part = 'label table' if key.startswith('class_embedder') else 'timestep embedding'
                raise DistillError(f'soft labels: block {index} of the DiT has another {part} than block 0, so '
                                   'one embedding cannot represent a class in all blocks: use weights whose blocks '
                                   'share it, like the original DiT, or leave semantic matching out')
    shared = SoftLabelConditioning(norms[0].emb)
    for norm in norms:
        norm.emb = shared
    return shared
