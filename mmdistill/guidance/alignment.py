"""Feature alignment: matches inner features of the generator between samples and real latents of the same noise level.
"""
from dataclasses import replace
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..errors import DistillError, named
from ..generation.inner import inner_features, inner_layers
from ..plan import Request, request_seed
from ..settings import NonNegativeInt, validated
from .base import group_rows


class FeatureAlignment:
    r"""Guidance by inner features of the generator: DAP (ICLR 2026; we know it only from a description without code).

    .. math:: L_b = \Big\| \varphi(z_{t,b}, t) - \frac1M \sum_m \varphi\big(\sqrt{\bar\alpha_t}\, r_m +
        \sqrt{1 - \bar\alpha_t}\, n_m, t\big) \Big\|^2

    where φ are the outputs of inner layers of the denoiser in the conditional pass, averaged over their positions, and
    r_m are real latents of the class with noise n_m of the same level. The loss is the squared maximum mean discrepancy
    with a linear kernel. The gradient at :math:`z_t` is applied after each step,
    :math:`z_{t-1} \leftarrow z_{t-1} - \gamma \nabla_{z_t} L`:
    ``Guidance(update='prev', norm='none', window=(0, 1), scale=γ)``; the paper uses γ = 0.5 to 1 for DiT-XL/2.

    All images of a class are moved towards the same mean, and the paper does not say how they stay different. With
    ``joint=True`` (our extension), only the mean of their features is matched, and the images of a class are generated
    together.

    Each step needs a forward and a backward pass of the samples through the first layers of the network, and, once per
    class and timestep, a forward pass of the real latents.

    Args:
        generator: The generator; its network must not be compiled.
        supports: Class id → clean scaled real latents (M, C, h, w), for all classes in the requests.
        requests: All requests of the plan.
        blocks: First and last transformer block of a DiT, counted from 0; the paper uses (4, 12) of 28. None for a
            UNet, whose middle block is used.
        joint: Whether the mean over the images of a class is matched instead of each image.
        random_state: Seed of the noise of the real latents.
        weight: Factor in the sum of objectives.

    Example:
        >>> from mmdistill.generation import ClassConditionalGenerator
        >>> from mmdistill.guidance import Guidance
        >>> generator = ClassConditionalGenerator.from_pretrained('mmdistill://objects')
        >>> requests = [Request('boat/0', seed=1, classes=(0, ))]
        >>> alignment = FeatureAlignment(generator, {0: np.zeros((32, 4, 16, 16))}, requests)
        >>> guidance = Guidance([alignment], window=(0, 1), scale=0.5, update='prev', norm='none')
    """
    space = 'noisy'
    annotation = 'classes'
    needs = ('generator', 'supports', 'requests')
    reads_network = True  # for cost estimates

    @validated
    def __init__(self, generator: Any, supports: Mapping[int, np.ndarray], requests: Sequence[Request],
                 blocks: Optional[Tuple[NonNegativeInt, NonNegativeInt]] = None, joint: bool = False,
                 random_state: NonNegativeInt = 0, weight: float = 1.0):
        if getattr(generator, 'compiled', False):
            raise DistillError('feature alignment reads inner layers, which is not possible in a compiled network: '
                               'remove compile from the settings of the generator')
        self.joint, self.weight, self.random_state = joint, weight, random_state
        self._generator, self._supports = generator, supports
        self._layers = inner_layers(generator.denoiser, None if blocks is None else (blocks[0], blocks[1]))
        self._requests: Dict[int, Request] = {}  # one per class, for the condition of the real latents
        for request in requests:
            self._requests.setdefault(request.single_class(supports), request)
        self._means: Dict[Tuple[int, float], Tensor] = {}  # by class and timestep

    @classmethod
    def check_generator(cls, settings: Mapping[str, Any], generator: Any, where: str) -> None:
        """Raise a DistillError if the generator's network does not have the ``blocks`` in the settings."""
        with named(where):
            inner_layers(generator.denoiser, settings.get('blocks'))

    def __call__(self, x: Tensor, batch, level: Any) -> Tensor:
        """Losses (B,) of noisy latents (B, C, h, w) at a noise level; with ``joint``, the loss of a group is divided
        equally among its rows."""
        features = self._features(x, level, batch)
        targets = torch.stack([self._mean(request.single_class(self._requests), level, x)
                               for request in batch.requests])
        if not self.joint:
            return (features - targets).square().sum(1).to(x.dtype)
        losses = x.new_zeros(len(x))
        for rows in group_rows(batch.requests):
            error = features[rows].mean(0) - targets[rows[0]]
            losses[rows] = error.square().sum().to(x.dtype) / len(rows)
        return losses

    def _features(self, x: Tensor, level: Any, condition: Any) -> Tensor:
        times = torch.full((len(x), ), level.timestep, device=x.device)
        return inner_features(self._generator.denoiser, self._layers, x, times, condition)

    @torch.no_grad()
    def _mean(self, label: int, level: Any, like: Tensor) -> Tensor:
        """Mean features (D,) of the real latents of a class at a noise level, computed on first use."""
        key = label, level.timestep
        if key not in self._means:
            generator, real = self._generator, torch.as_tensor(self._supports[label])
            random = torch.Generator().manual_seed(request_seed(self.random_state, f'alignment/{label}'))
            noisy = (level.alpha * real + level.sigma * torch.randn(real.shape, generator=random)).to(like)
            total: Any = 0
            for part in noisy.split(generator.micro_batch):
                requests = [replace(self._requests[label], id='real')] * len(part)
                condition = generator.condition(requests, None).to(like.device)
                total = total + self._features(part, level, condition).sum(0)
            self._means[key] = total / len(real)
        return self._means[key]
