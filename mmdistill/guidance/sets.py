"""Set matching: denoises all images of a class together, so that they differ and their mean is that of the real images.
"""
from typing import Any, Dict, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DistillError
from ..settings import NonNegative, Positive, setting, validated
from .base import group_rows
from .memo import BatchMemo


class SetMatching:
    r"""Joint guidance of all images of a class: CGS (CVPR 2026; we know it only from a description without code).

    For the N noisy latents :math:`z_t^1, …, z_t^N` of a class,

    .. math:: L = -\eta_{dpp} \log\det(K + \varepsilon I) + \frac{\eta_{dm}}{D}
        \Big\|\frac1N \sum_n z_t^n - \sqrt{\bar\alpha_t}\, \mu\Big\|^2, \qquad
        K_{nm} = \frac{\langle z_t^n, z_t^m \rangle}{\|z_t^n\| \|z_t^m\|}

    where μ is the mean of the class's real latents, and D is the number of values in a latent. The first term, the
    log-determinant of a determinantal point process, makes the images different. The second term moves their mean
    towards the mean of the real latents. The gradient is applied after each step:
    ``Guidance(update='prev', norm='none', window=(0, 1))`` with a scale of 30 to 300.

    Our choices are ε, the division by D, and that the gradient is taken at :math:`z_t`. Without the division, a step
    would multiply the error of the mean by :math:`1 - 2 \eta / N`, which diverges for the published η of 30 to 300.

    Args:
        supports: Class id → points (n, C, h, w), whose mean weighted by ``masses`` is μ, for all classes in the
            requests.
        masses: Class id → weights of the points (n,), which sum to 1.
        repulsion: :math:`\eta_{dpp}`; 0 drops the first term.
        matching: :math:`\eta_{dm}`; 0 drops the second term.
        epsilon: ε > 0.
        weight: Factor in the sum of objectives.

    Example:
        >>> from mmdistill.guidance import Guidance
        >>> together = SetMatching({0: np.zeros((2, 4, 32, 32))}, {0: np.array([0.7, 0.3])})
        >>> guidance = Guidance([together], window=(0, 1), scale=30, update='prev', norm='none')
    """
    space = 'noisy'
    annotation = 'classes'
    joint = True
    needs = ('supports', 'masses')

    @validated
    def __init__(self, supports: Mapping[int, np.ndarray], masses: Mapping[int, np.ndarray],
                 repulsion: NonNegative = 1.0, matching: NonNegative = 1.0, epsilon: Positive = 1e-3,
                 weight: float = 1.0):
        self.repulsion, self.matching, self.epsilon, self.weight = repulsion, matching, epsilon, weight
        self._memo = BatchMemo()
        self._means: Dict[int, Tensor] = {
            label: torch.as_tensor(np.tensordot(masses[label], points, 1)).flatten()
            for label, points in supports.items()}

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if both terms are dropped."""
        if not any(setting(cls, settings, name) for name in ('repulsion', 'matching')):
            raise DistillError(f'{where}: repulsion=0 and matching=0 leave no loss: set one of them above 0')

    def __call__(self, x: Tensor, batch, level: Any) -> Tensor:
        """Losses (B,) of noisy latents (B, C, h, w) at a noise level; the loss of a group is divided equally among its
        rows."""
        losses = x.new_zeros(len(x))
        for rows in group_rows(batch.requests):
            label = batch.requests[rows[0]].single_class(self._means)
            mean = self._memo(batch, (label, x.dtype, x.device), self._means[label].to, x)
            losses[rows] = self._loss(x[rows].flatten(1), mean, level.alpha) / len(rows)
        return losses

    def _loss(self, z: Tensor, mean: Tensor, alpha: float) -> Tensor:
        """Loss of the latents (N, D) of one class. The kernel is float64: similar rows have a tiny determinant."""
        unit = F.normalize(z.double(), dim=1)
        kernel = unit @ unit.T + self.epsilon * torch.eye(len(z), dtype=torch.float64, device=z.device)
        error = z.mean(0) - alpha * mean
        return self.matching * error.square().mean() - self.repulsion * torch.logdet(kernel).to(z.dtype)
