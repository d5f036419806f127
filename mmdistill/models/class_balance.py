"""Weights of pixels by the rarity of their class."""
import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmdistill.masks import IGNORE
from mmdistill.settings import PositiveInt, Share, validated


class ClassBalance(nn.Module):
    r"""Weight :math:`w_p \propto \mathrm{freq}(class_p)^{-\gamma}` of each pixel, 1 on average over the dataset.

    Our choice: with γ = 0 the small classes, for whose sake a set is distilled, would hardly be learnt. The
    frequencies are a running mean over the training batches of all ranks.

    Args:
        num_classes: Number of classes K.
        gamma: In [0, 1]; 0 weighs all pixels alike.
    """
    frequency: Tensor

    @validated
    def __init__(self, num_classes: PositiveInt, gamma: Share) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer('frequency', torch.full((num_classes, ), 1 / num_classes))

    @torch.no_grad()
    def update(self, masks: Tensor) -> None:
        """Take the ids (B, H, W), 255 "unlabelled", of a batch into the frequencies; every rank has to call it."""
        counts = torch.bincount(masks[masks != IGNORE], minlength=len(self.frequency))
        all_reduce(counts)
        if counts.any():
            self.frequency.lerp_(counts / counts.sum(), 0.02)

    def forward(self, masks: Tensor) -> Tensor:
        """Ids (B, H, W) int64 → weights (B, 1, H, W); unlabelled pixels have 1."""
        table = self.frequency.clamp_min(1e-5).pow(-self.gamma)
        table = torch.cat([table / (table * self.frequency).sum(), table.new_ones(1)])
        return table[torch.where(masks == IGNORE, len(table) - 1, masks)][:, None]
