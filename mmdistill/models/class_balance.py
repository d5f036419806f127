"""Pixel weights that depend on the frequency of the class."""
import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmdistill.masks import IGNORE
from mmdistill.settings import PositiveInt, Share, validated


class ClassBalance(nn.Module):
    r"""Weight :math:`w_p \propto \mathrm{freq}(class_p)^{-\gamma}` for each pixel, with mean 1 over the dataset.

    This is our choice: with γ = 0, rare and small classes would hardly be learnt. The frequencies are a running mean
    over the training batches of all ranks.

    Args:
        num_classes: Number of classes K.
        gamma: γ in [0, 1]; 0 gives all pixels the same weight.
    """
    frequency: Tensor

    @validated
    def __init__(self, num_classes: PositiveInt, gamma: Share) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer('frequency', torch.full((num_classes, ), 1 / num_classes))

    @torch.no_grad()
    def update(self, masks: Tensor) -> None:
        """Update the frequencies with the ids (B, H, W) of a batch, 255 = unlabelled; every rank has to call it."""
        counts = torch.bincount(masks[masks != IGNORE], minlength=len(self.frequency))
        all_reduce(counts)
        if counts.any():
            self.frequency.lerp_(counts / counts.sum(), 0.02)

    def forward(self, masks: Tensor) -> Tensor:
        """Ids (B, H, W) int64 → weights (B, 1, H, W), 1 for unlabelled pixels."""
        table = self.frequency.clamp_min(1e-5).pow(-self.gamma)
        table = torch.cat([table / (table * self.frequency).sum(), table.new_ones(1)])
        return table[torch.where(masks == IGNORE, len(table) - 1, masks)][:, None]
