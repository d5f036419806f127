"""Transport matching: entropic optimal transport from a class's samples to its support points."""
from typing import Dict, Mapping, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DistillError
from ..plan import Request, group_numbers, groups_of
from ..settings import Positive, PositiveInt, validated
from .memo import BatchMemo

_FAR = 1e6  # cost of padded support points, whose mass 0 then stays 0 in the log domain


class TransportMatching:
    r"""DMGD's transport loss (arXiv 2605.03877) with greedy progressive matching.

    For a sample of class c, the loss is :math:`\langle \gamma^*, C \rangle` with the entropic transport plan

    .. math:: \gamma^* = \arg\min_\gamma \langle \gamma, C \rangle + \epsilon \sum \gamma \log \gamma

    from :math:`\{\hat x_0\}` and the finished samples of c, with equal masses, to the support points of c with their
    masses. C is the Euclidean distance (0 to 2) between L2-normalised latents. Finished samples are constant, and only
    those with a lower number in the class are used, so that an image depends only on its request and on these samples.

    POT solves all rows at once, in the log domain and in float64, so that small ``epsilon`` is stable and rounding does
    not depend on the position of a row. Classes with fewer finished samples or support points are padded with mass 0.

    With one support point, the plan equals the masses, so this is mean matching.

    Args:
        supports: Class id → support points (n, C, h, w), n >= 1, clean scaled latents, for all classes in the requests.
        masses: Class id → weights of the support points (n,), which sum to 1.
        requests: All requests of the plan; within each group (:attr:`~mmdistill.plan.Request.group`), in the order of
            generation. With several candidate sets, "class" above means the images of a class in one candidate set.
        weight: Factor in the sum of objectives.
        epsilon: Strength of the entropic regularisation, > 0.
        iterations: Number of Sinkhorn iterations, at least 1; the released code uses too few to converge.
        unroll: Whether the gradient is backpropagated through the iterations, as in the released code. By default, the
            plan is held constant (envelope theorem), which is exact for converged iterations.

    Example:
        >>> from mmdistill.guidance import Guidance
        >>> requests = [Request('cat/0', seed=1, classes=(0, ))]
        >>> transport = TransportMatching({0: np.zeros((2, 4, 32, 32))}, {0: np.array([0.7, 0.3])}, requests)
        >>> guidance = Guidance([transport], window=(0.08, 0.4), scale=0.1, through='linear', update='prev',
        ...                     step='sigma', norm='none')
    """
    space = 'latent'
    annotation = 'classes'
    greedy = True
    needs = ('supports', 'masses', 'requests')

    @validated
    def __init__(self, supports: Mapping[int, np.ndarray], masses: Mapping[int, np.ndarray],
                 requests: Sequence[Request], weight: float = 1.0, epsilon: Positive = 0.1, iterations: PositiveInt = 5,
                 unroll: bool = False):
        self.weight, self.epsilon, self.iterations, self.unroll = weight, epsilon, iterations, unroll
        groups = groups_of(requests)
        self._number = group_numbers(requests)
        labels = {request.single_class(supports) for request in requests}
        self._points = {label: F.normalize(torch.as_tensor(supports[label]).flatten(1), dim=1) for label in labels}
        self._masses = {label: torch.as_tensor(masses[label], dtype=torch.float64) for label in labels}
        self._slots = max(map(len, groups.values()), default=0)
        self._finished: Dict[Tuple, Dict[int, Tensor]] = {group: {} for group in groups}  # costs by number
        self._memo = BatchMemo()

    def ready(self, request: Request) -> bool:
        """Whether all earlier samples of the class are remembered, so that the image is reproducible."""
        finished, number = self._of(request)
        return all(before in finished for before in range(number))

    def remember(self, request: Request, latents: Tensor) -> None:
        """Store the final latents (C, h, w), on the CPU, of a request for the following requests.

        Raises:
            DistillError: The latents do not match the support points or are not finite.
        """
        finished, number = self._of(request)
        points = self._points[request.classes[0]].double()
        if latents.numel() != points.shape[1] or not latents.isfinite().all():
            raise DistillError(f'request {request.id}: finished latents of shape {tuple(latents.shape)} do not match '
                               f'support points of {points.shape[1]} values, or are not finite: remove its image '
                               'and latents, and resume the run')
        row = F.normalize(latents.double().flatten()[None], dim=1)
        finished[number] = _distance(row, points[None])[0]

    def __call__(self, x: Tensor, batch) -> Tensor:
        """Losses (B,) of clean predictions (B, C, h, w), with ``batch.requests``."""
        points, source, masses, costs = self._memo(batch, (x.dtype, x.device), self._problem, x, batch)
        distances = _distance(F.normalize(x.flatten(1), dim=1), points).double()
        cost = torch.cat([distances.masked_fill(masses == 0, _FAR)[:, None], costs], 1)
        from ot.batch import solve_batch
        plan = solve_batch(cost if self.unroll else cost.detach(), self.epsilon, source, masses,
                           max_iter=self.iterations, tol=0, method='log_sinkhorn',
                           grad='autodiff' if self.unroll else 'detach').plan
        return (plan * cost).sum((1, 2)).to(x.dtype)

    def _problem(self, x: Tensor, batch) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """The constants for all steps of a batch: points (B, K, D) in the dtype of ``x``, and in float64 source
        masses (B, 1 + S), target masses (B, K) and costs of finished samples (B, S, K)."""
        if not batch.requests:
            raise DistillError('transport matching needs the request of each row: give the condition requests')
        rows = [self._row(request) for request in batch.requests]
        points, source, masses, costs = (torch.stack(parts).to(x.device) for parts in zip(*rows))
        return points.to(x.dtype), source, masses, costs

    def _row(self, request: Request) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        (finished, number), label = self._of(request), request.classes[0]
        points, masses = self._points[label], self._masses[label]
        padding = max(map(len, self._points.values())) - len(points)
        source, costs = torch.zeros(1 + self._slots).double(), torch.zeros(self._slots, len(points)).double()
        source[0] = 1
        for before, cost in finished.items():
            if before < number:
                source[1 + before], costs[before] = 1, cost
        return (F.pad(points, (0, 0, 0, padding)), source / source.sum(), F.pad(masses, (0, padding)),
                F.pad(costs, (0, padding), value=_FAR))

    def _of(self, request: Request) -> Tuple[Dict[int, Tensor], int]:
        """The finished samples of a request's group, and the request's number in the group."""
        if request not in self._number:
            raise DistillError(f'transport matching: request {request.id} is not in the plan that it was built for')
        return self._finished[request.group], self._number[request]


def _distance(rows: Tensor, points: Tensor) -> Tensor:
    """Euclidean distances (B, K) from rows (B, D) to points (B, K, D). The gradient at distance 0 is 0."""
    return (rows[:, None] - points).square().sum(-1).clamp_min(1e-24).sqrt()
