"""Weights of pixels by the rarity of their class."""
import torch
from torch import Tensor, nn

from mmdistill.masks import IGNORE


class ClassBalance(nn.Module):
    r"""Weight :math:`w_p \propto \mathrm{freq}(class_p)^{-\gamma}` of each pixel, 1 on average over the data set.

    Our choice: with γ = 0 the small classes, for whose sake a set is distilled, would hardly be learnt. The
    frequencies are a running mean over the training batches.

    Args:
        num_classes: Number of classes K.
        gamma: In [0, 1]; 0 weighs all pixels alike.
    """

    def __init__(self, num_classes: int, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer('frequency', torch.full((num_classes, ), 1 / num_classes))

    @torch.no_grad()
    def update(self, masks: Tensor) -> None:
        """Take the ids (B, H, W), 255 "unlabelled", of a batch into the frequencies."""
        counts = torch.bincount(masks[masks != IGNORE], minlength=len(self.frequency))
        self.frequency.lerp_(counts / counts.sum().clamp_min(1), 0.02)

    def forward(self, masks: Tensor) -> Tensor:
        """Ids (B, H, W) int64 → weights (B, 1, H, W); unlabelled pixels have 1."""
        table = self.frequency.clamp_min(1e-5).pow(-self.gamma)
        table = torch.cat([table / (table * self.frequency).sum(), table.new_ones(1)])
        return table[torch.where(masks == IGNORE, len(table) - 1, masks)][:, None]
