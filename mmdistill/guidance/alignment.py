"""Feature alignment: the generator's own inner features of a sample against those of real latents as noisy as it."""
from dataclasses import replace
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from ..errors import DistillError
from ..generation.inner import inner_features, inner_layers
from ..plan import Request, request_seed
from ..settings import NonNegativeInt, validated
from .base import group_rows


class FeatureAlignment:
    r"""DAP's guidance by the generator's own features (ICLR 2026; known from a third party's note, without code).

    .. math:: L_b = \Big\| \varphi(z_{t,b}, t) - \frac1M \sum_m \varphi\big(\sqrt{\bar\alpha_t}\, r_m +
        \sqrt{1 - \bar\alpha_t}\, n_m, t\big) \Big\|^2

    with φ the outputs of inner layers of the denoiser in its conditional pass, averaged over positions, and r_m real
    latents of the class with noise n_m of the same level. It is the squared distance of means of a linear kernel. The
    gradient at :math:`z_t` is applied after each step, :math:`z_{t-1} \leftarrow z_{t-1} - \gamma \nabla_{z_t} L`:
    ``Guidance(update='prev', norm='none', window=(0, 1), scale=γ)``, γ 0.5 to 1 in the paper, for DiT-XL/2.

    The paper does not say what keeps the images of a class apart, which are all drawn to one mean. With ``joint=True``
    (ours) only the mean of their features is drawn to it, and the images of a class are made together.

    Each step needs a pass through the first layers of the network with its gradient, and once per class and timestep
    one of the real latents.

    Args:
        generator: Whose network has the features; not compiled.
        supports: Class id → real latents (M, C, h, w), clean and scaled, of all classes of the requests.
        requests: All of the plan.
        blocks: First and last transformer block of a DiT, counted from 0: (4, 12) of 28 in the paper. None for a UNet,
            whose middle block is taken.
        joint: Whether the mean over the images of a class is matched instead of each image.
        random_state: Seed of the real latents' noise.
        weight: Factor in a sum of objectives.

    Example:
        >>> from mmdistill.generation import ClassConditionalGenerator
        >>> from mmdistill.guidance import Guidance
        >>> generator = ClassConditionalGenerator.from_pretrained('mmdistill://objects')
        >>> requests = [Request('clock/0', seed=1, classes=(0, ))]
        >>> alignment = FeatureAlignment(generator, {0: np.zeros((32, 4, 16, 16))}, requests)
        >>> guidance = Guidance([alignment], window=(0, 1), scale=0.5, update='prev', norm='none')
    """
    space = 'noisy'
    annotation = 'classes'
    needs = ('generator', 'supports', 'requests')
    reads_network = True  # for estimates of cost

    @validated
    def __init__(self, generator: Any, supports: Mapping[int, np.ndarray], requests: Sequence[Request],
                 blocks: Optional[Tuple[NonNegativeInt, NonNegativeInt]] = None, joint: bool = False,
                 random_state: NonNegativeInt = 0, weight: float = 1.0):
        if getattr(generator, 'compiled', False):
            raise DistillError('feature alignment reads inner layers, which a compiled network does not give: leave '
                               'compile out of the generator')
        self.joint, self.weight, self.random_state = joint, weight, random_state
        self._generator, self._supports = generator, supports
        self._layers = inner_layers(generator.denoiser, None if blocks is None else (blocks[0], blocks[1]))
        self._requests: Dict[int, Request] = {}  # one of each class, for the condition of real latents
        for request in requests:
            self._requests.setdefault(request.single_class(supports), request)
        self._means: Dict[Tuple[int, float], Tensor] = {}  # by class and timestep

    @classmethod
    def check_generator(cls, settings: Mapping[str, Any], generator: Any, where: str) -> None:
        """Raise a DistillError where the generator's network does not have the ``blocks`` of the settings."""
        try:
            inner_layers(generator.denoiser, settings.get('blocks'))
        except DistillError as error:
            raise DistillError(f'{where}: {error}') from None

    def __call__(self, x: Tensor, batch, level: Any) -> Tensor:
        """(B,) losses of noisy latents (B, C, h, w) at a noise level; with ``joint`` equal shares of a group's."""
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
        """(D,): the mean feature of a class's real latents at a noise level, measured when it is first needed."""
        key = label, level.timestep
        if key not in self._means:
            own, real = self._generator, torch.as_tensor(self._supports[label])
            random = torch.Generator().manual_seed(request_seed(self.random_state, f'alignment/{label}'))
            noisy = (level.alpha * real + level.sigma * torch.randn(real.shape, generator=random)).to(like)
            total: Any = 0
            for part in noisy.split(own.micro_batch):
                requests = [replace(self._requests[label], id='real')] * len(part)
                total = total + self._features(part, level, own.condition(requests, None).to(like.device)).sum(0)
            self._means[key] = total / len(real)
        return self._means[key]
