"""Records of the guidance of images."""
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor


class GuidanceTrace(NamedTuple):
    """The record of the guidance of one image."""
    losses: Dict[str, Tuple[float, float]]  # objective → unweighted loss at the first and the last guided step
    step: float  # RMS of the shift divided by RMS of the shifted tensor, mean over the guided steps


class GuidanceRecord:
    """Collects the traces of a batch on its device; the device is only read once, by :meth:`traces`."""

    def __init__(self) -> None:
        self.first: Dict[str, Tensor] = {}
        self.last: Dict[str, Tensor] = {}
        self.ratios: List[Tensor] = []

    def add(self, losses: Dict[str, Tensor], shift: Tensor, latents: Tensor) -> None:
        """Add a guided step: losses (B,) by objective, and the shift and the shifted tensor, both (B, C, h, w)."""
        self.first, self.last = self.first or losses, losses
        norms = [value.flatten(1).norm(dim=1) for value in (shift, latents)]
        self.ratios.append(norms[0] / norms[1])

    def traces(self, rows: int) -> List[Optional[GuidanceTrace]]:
        """The traces of the first ``rows`` rows; None for each if no step was guided."""
        if not self.ratios:
            return [None] * rows
        columns = [*self.first.values(), *self.last.values(), torch.stack(self.ratios).mean(0)]
        table = torch.stack([column.to(torch.float64) for column in columns], 1)[:rows].tolist()
        count = len(self.first)
        return [GuidanceTrace(dict(zip(self.first, zip(row[:count], row[count:]))), row[-1]) for row in table]
