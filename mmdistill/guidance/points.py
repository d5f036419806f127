"""Point matching: moves each image towards a different real latent or cluster centre."""
from typing import Dict, Mapping, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request, group_numbers
from ..settings import validated
from .memo import BatchMemo


class PointMatching:
    r"""Squared distance of the clean prediction to one point of its class; the gradient is the difference of the two.

    .. math:: L_b = \tfrac12 \|\hat x_{0,b} - p_b\|^2, \qquad \nabla_{\hat x_0} L_b = \hat x_{0,b} - p_b

    The k-th image of a class is moved towards the k-th point; with fewer points than images, points are reused
    cyclically. Two methods use this objective, with different points and steps:

    **MGD3** (arXiv 2505.18963): p_b is a mode of the class, a k-means centre. In the first part of the trajectory, the
    step is :math:`z_{t-1} \leftarrow z_{t-1} + \lambda \sigma_t (p_b - \hat x_0)`:
    ``Guidance(update='prev', step='sigma', norm='none', scale=λ, window=(0, 0.5))``. This is our reconstruction; the
    paper's exact form was not available.

    **CoDA** (ICLR 2026; we know its released code only from a description): p_b is a representative real latent r. The
    noise predicted by the conditional pass is corrected before classifier-free guidance, which amplifies the
    correction:

    .. math:: \epsilon_c \leftarrow \epsilon_c - \frac{\sqrt{\bar\alpha_t}}{\sqrt{1 - \bar\alpha_t}}
        \gamma \sigma_t (r - \hat x_0), \qquad \hat x_0 = \frac{z_t - \sqrt{1 - \bar\alpha_t}\, \epsilon_c}
        {\sqrt{\bar\alpha_t}}

    This shifts the conditional clean prediction by :math:`\gamma \sigma_t (r - \hat x_0)`:
    ``Guidance(update='conditional', step='sigma', norm='none', scale=γ, window=(0, 0.9))`` with γ = 0.05. Our choices:
    σ_t is the standard deviation of the ancestral step's posterior, and r is the real latent nearest to a k-means
    centre (the paper clusters with UMAP and HDBSCAN).

    Args:
        supports: Class id → points (n, C, h, w), n >= 1, clean scaled latents, for all classes in the requests.
        requests: All requests of the plan.
        weight: Factor in the sum of objectives.

    Example:
        >>> from mmdistill.guidance import Guidance
        >>> requests = [Request('cat/0', seed=1, classes=(0, ))]
        >>> modes = PointMatching({0: np.zeros((10, 4, 32, 32))}, requests)
        >>> guidance = Guidance([modes], window=(0, 0.5), scale=0.1, update='prev', step='sigma', norm='none')
    """
    space = 'latent'
    annotation = 'classes'
    needs = ('supports', 'requests')

    @validated
    def __init__(self, supports: Mapping[int, np.ndarray], requests: Sequence[Request], weight: float = 1.0):
        self.weight = weight
        self._points = {label: torch.as_tensor(points) for label, points in supports.items()}
        self._place: Dict[Request, Tuple[int, int]] = {}  # class id, index of the point
        for request, number in group_numbers(requests).items():
            label = request.single_class(supports)
            self._place[request] = label, number % len(supports[label])
        self._memo = BatchMemo()

    def __call__(self, x: Tensor, batch) -> Tensor:
        """Losses (B,) of clean predictions (B, C, h, w), with ``batch.requests``."""
        points = self._memo(batch, (x.dtype, x.device), self._points_of, batch.requests, x)
        return (x - points).square().flatten(1).sum(1) / 2

    def _points_of(self, requests: Sequence[Request], like: Tensor) -> Tensor:
        return torch.stack([self._point(request) for request in requests]).to(like)

    def _point(self, request: Request) -> Tensor:
        if request not in self._place:
            raise DistillError(f'point matching: request {request.id} is not in the plan that it was built for')
        label, number = self._place[request]
        return self._points[label][number]
