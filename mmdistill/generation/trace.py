"""What guidance did to an image."""
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor


class GuidanceTrace(NamedTuple):
    """What guidance did to one image: the unweighted loss of each objective at the first and at the last guided step.

    ``step`` is the root mean square of a guidance step over that of the latents it is added to, mean over the guided
    steps.
    """
    losses: Dict[str, Tuple[float, float]]
    step: float


class GuidanceRecord:
    """Collects the traces of a batch on its device, which is read once, by :meth:`traces`."""

    def __init__(self) -> None:
        self.first: Dict[str, Tensor] = {}
        self.last: Dict[str, Tensor] = {}
        self.ratios: List[Tensor] = []

    def see(self, losses: Dict[str, Tensor], shift: Tensor, latents: Tensor) -> None:
        """Take in a guided step: losses (B,) of the objectives, and the shift (B, C, h, w) of the latents."""
        self.first, self.last = self.first or losses, losses
        norms = [value.flatten(1).norm(dim=1) for value in (shift, latents)]
        self.ratios.append(norms[0] / norms[1])

    def traces(self, rows: int) -> List[Optional[GuidanceTrace]]:
        """The traces of the first rows; None where no step was guided."""
        if not self.ratios:
            return [None] * rows
        columns = [*self.first.values(), *self.last.values(), torch.stack(self.ratios).mean(0)]
        table = torch.stack([column.to(torch.float64) for column in columns], 1)[:rows].tolist()
        count = len(self.first)
        return [GuidanceTrace(dict(zip(self.first, zip(row[:count], row[count:]))), row[-1]) for row in table]
