"""Semantic matching: the class embedding changes with the timestep."""
import math
from typing import Annotated, Any, Dict, Literal, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..errors import DistillError
from ..plan import Request, request_seed
from ..settings import NonNegative, Positive, Range, setting, validated

Timestep = Annotated[float, Range(0, 1000)]


class SemanticMatching:
    r"""DMGD's dynamic soft label (arXiv 2605.03877), a condition that changes by timestep.

    .. math:: \tilde y = \sqrt{\lambda_t}\, y + \beta_n \sqrt{1 - \lambda_t}\, n + \beta_s \sqrt{1 - \lambda_t}\, y^*

    brought to the mean and the standard deviation of :math:`y` (over the last dimension), with y the embedding of the
    sample's class, y* that of a random other class of the set, and n standard normal noise. Three stages:
    exploration before ``window`` (:math:`\lambda = 0`, no y*), the soft label inside (:math:`\lambda` linear in t),
    and refinement after it (:math:`\lambda = 1`: the condition as it is).

    n and y* follow from the request's seed and t alone: neither batch, order nor a resumed run changes them, and the
    sampler's own noise stays as it is.

    Args:
        generator: Of a class condition that can be mixed: ``embedded``, ``class_embeddings`` and ``embed``.
        requests: All of the plan, whatever is left to make.
        beta_noise: Weight of n, above 0.
        beta_label: Weight of y*; unused in a set of one class.
        window: Timesteps at which the soft label begins and ends, in a process of 1000; others are scaled to it.
        compat: ``'released'`` for what the released code does differently: n is uniform on [0, 1); the null embedding
            of classifier-free guidance is mixed, too, with noise of its own and the same y*; and the two rows together
            are brought to the mean and the standard deviation that they had together.

    Example:
        >>> semantic = SemanticMatching(generator, plan.requests)
        >>> images = generator.generate(requests, guidance=Guidance([], semantic=semantic))
    """
    annotation = 'classes'
    needs = ('generator', 'requests')

    @validated
    def __init__(self, generator: Any, requests: Sequence[Request], beta_noise: Positive = 0.06,
                 beta_label: NonNegative = 0.01, window: Tuple[Timestep, Timestep] = (900, 500),
                 compat: Optional[Literal['released']] = None):
        self.check(dict(window=window), type(self).__name__)
        if not hasattr(generator, 'class_embeddings'):
            raise DistillError(f'semantic matching mixes embeddings of classes, and {type(generator).__name__} has no '
                               'class condition: take a generator that has one')
        self.beta_noise, self.beta_label, self.window = beta_noise, beta_label, tuple(window)
        self.released, self._generator = compat == 'released', generator
        self._classes: Dict[int, Tensor] = generator.class_embeddings(requests)
        self._unit = 1000 / generator.scheduler.config.num_train_timesteps
        self._batch: Optional[Tuple] = None

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        first, last = setting(cls, settings, 'window')
        if first <= last:
            raise DistillError(f'{where}: window={(first, last)} has to be first > last, as timesteps fall')

    def level(self, t: float) -> float:
        """:math:`\\lambda_t` of a timestep of 1000."""
        first, last = self.window
        return min(max((first - t) / (first - last), 0.0), 1.0)

    def __call__(self, condition, t: float):
        """The condition at the scheduler's timestep ``t``: float embeddings instead of class ids, for both passes."""
        level = self.level(t * self._unit)
        if level == 1:
            return condition
        name = self._generator.embedded
        if self._batch is None or self._batch[0] is not condition:  # embeddings are made once per batch
            self._batch = condition, self._generator.embed(condition)
        soft = self._batch[1]
        own, null = soft[name].float(), soft.nulls[name].float()
        draws = [self._draw(own.shape[1:], request, t) for request in condition.requests]
        noise, others = (torch.stack(drawn).to(own) for drawn in zip(*draws))
        rest = math.sqrt(1 - level)
        rows = torch.stack([own, null], 1)[:, :noise.shape[1]]  # (B, 1 or 2, ..., D)
        mixed = math.sqrt(level) * rows + self.beta_noise * rest * noise
        if t * self._unit <= self.window[0]:
            mixed = mixed + self.beta_label * rest * others[:, None]
        mixed = _like(mixed, rows)
        return soft.replace({name: mixed[:, 0]}, {name: mixed[:, 1] if self.released else null})

    def _draw(self, shape: torch.Size, request: Request, t: float) -> Tuple[Tensor, Tensor]:
        """Noise of one row, for its embedding and where needed the null one, and y*, 0 where there is none."""
        own = request.single_class(self._classes)
        generator = torch.Generator().manual_seed(request_seed(request.seed, f'semantic/{float(t)}'))
        noise = (torch.rand((2, *shape), generator=generator) if self.released else
                 torch.randn((1, *shape), generator=generator))
        others = [other for other in self._classes if other != own]
        if not others:
            return noise, torch.zeros(shape)
        return noise, self._classes[others[int(torch.randint(len(others), (), generator=generator))]]


def _like(mixed: Tensor, model: Tensor) -> Tensor:
    """``mixed`` (B, R, ..., D) with the mean and the standard deviation of ``model``, over R and D together."""
    std, mean = torch.std_mean(mixed, (1, -1), keepdim=True)
    model_std, model_mean = torch.std_mean(model, (1, -1), keepdim=True)
    return (mixed - mean) / std * model_std + model_mean
