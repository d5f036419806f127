"""Semantic matching: a class embedding that depends on the timestep."""
import math
from typing import Annotated, Any, Dict, Literal, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..errors import DistillError, named
from ..plan import Request, request_seed
from ..settings import NonNegative, Positive, Range, setting, validated
from .memo import BatchMemo

Timestep = Annotated[float, Range(0, 1000)]


class SemanticMatching:
    r"""DMGD's dynamic soft label (arXiv 2605.03877), a condition that depends on the timestep.

    .. math:: \tilde y = \sqrt{\lambda_t}\, y + \beta_n \sqrt{1 - \lambda_t}\, n + \beta_s \sqrt{1 - \lambda_t}\, y^*

    normalised to the mean and standard deviation of :math:`y` (over the last dimension). y is the embedding of the
    sample's class, y* is the embedding of a random other class of the set, and n is standard normal noise. There are
    three stages: exploration before ``window`` (:math:`\lambda = 0`, without y*), the soft label inside it
    (:math:`\lambda` is linear in t), and refinement after it (:math:`\lambda = 1`: the unchanged condition).

    n and y* depend only on the request's seed and t; they do not depend on the batch, on the order, or on interruptions
    of the run. The sampler's noise does not change.

    Args:
        generator: A generator with class embeddings: ``embedded``, ``class_embeddings`` and ``embed``.
        requests: All requests of the plan, including finished ones.
        beta_noise: Weight of n, > 0.
        beta_label: Weight of y*, >= 0; not used in a set with one class.
        window: Timesteps at which the soft label starts and ends, out of 1000; scaled for other numbers of timesteps.
        compat: ``'released'`` reproduces the differences of the released code: n is uniform on [0, 1); the null
            embedding of classifier-free guidance is mixed as well, with different noise and the same y*; and both rows
            are normalised together to their common mean and standard deviation.

    Example:
        >>> from mmdistill.generation import ClassConditionalGenerator
        >>> from mmdistill.guidance import Guidance
        >>> generator = ClassConditionalGenerator.from_pretrained('mmdistill://objects', num_steps=2)
        >>> requests = [Request('boat/0', seed=1, classes=(0, ))]
        >>> guidance = Guidance([], semantic=SemanticMatching(generator, requests))
        >>> generator.generate(requests, guidance=guidance)[0].shape
        (64, 64, 3)
    """
    annotation = 'classes'
    needs = ('generator', 'requests')

    @validated
    def __init__(self, generator: Any, requests: Sequence[Request], beta_noise: Positive = 0.06,
                 beta_label: NonNegative = 0.01, window: Tuple[Timestep, Timestep] = (900, 500),
                 compat: Optional[Literal['released']] = None):
        self.check(dict(window=window), type(self).__name__)
        self.beta_noise, self.beta_label, self.window = beta_noise, beta_label, tuple(window)
        self.released, self._generator = compat == 'released', generator
        self._classes = self._embeddings(generator, requests, type(self).__name__)
        self._unit = 1000 / generator.scheduler.config.num_train_timesteps
        self._memo = BatchMemo()

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        first, last = setting(cls, settings, 'window')
        if first <= last:
            raise DistillError(f'{where}: window={(first, last)} has to be first > last, since timesteps decrease')

    @classmethod
    def check_generator(cls, settings: Mapping[str, Any], generator: Any, where: str) -> None:
        """Raise a DistillError if the generator has no class embeddings, or its blocks have different ones."""
        cls._embeddings(generator, (), where)

    @staticmethod
    def _embeddings(generator: Any, requests: Sequence[Request], where: str) -> Dict[int, Tensor]:
        """The embedding of each class in the requests."""
        if not hasattr(generator, 'class_embeddings'):
            raise DistillError(f'{where}: semantic matching mixes embeddings of classes, and '
                               f'{type(generator).__name__} has no class condition: use a generator that has one')
        with named(where):
            return generator.class_embeddings(requests)

    def level(self, t: float) -> float:
        """:math:`\\lambda_t` for a timestep t in 0..1000."""
        first, last = self.window
        return min(max((first - t) / (first - last), 0.0), 1.0)

    def __call__(self, condition, t: float):
        """The condition at the scheduler's timestep ``t`` for both passes, with embeddings instead of class ids."""
        level = self.level(t * self._unit)
        if level == 1:
            return condition
        name = self._generator.embedded
        soft = self._memo(condition, 'embedded', self._generator.embed, condition)
        embedding, null = soft[name].float(), soft.nulls[name].float()
        draws = [self._draw(embedding.shape[1:], request, t) for request in condition.requests]
        noise, others = (torch.stack(drawn).to(embedding) for drawn in zip(*draws))
        rest = math.sqrt(1 - level)
        rows = torch.stack([embedding, null], 1)[:, :noise.shape[1]]  # (B, 1 or 2, ..., D)
        mixed = math.sqrt(level) * rows + self.beta_noise * rest * noise
        if t * self._unit <= self.window[0]:
            mixed = mixed + self.beta_label * rest * others[:, None]
        mixed = _like(mixed, rows)
        return soft.replace({name: mixed[:, 0]}, {name: mixed[:, 1] if self.released else null})

    def _draw(self, shape: torch.Size, request: Request, t: float) -> Tuple[Tensor, Tensor]:
        """Noise for one row (for its embedding and, with ``compat``, the null embedding), and y* (0 if there is none).
        """
        label = request.single_class(self._classes)
        generator = torch.Generator().manual_seed(request_seed(request.seed, f'semantic/{float(t)}'))
        noise = (torch.rand((2, *shape), generator=generator) if self.released else
                 torch.randn((1, *shape), generator=generator))
        others = [other for other in self._classes if other != label]
        if not others:
            return noise, torch.zeros(shape)
        return noise, self._classes[others[int(torch.randint(len(others), (), generator=generator))]]


def _like(mixed: Tensor, model: Tensor) -> Tensor:
    """Normalise ``mixed`` (B, R, ..., D) to the mean and standard deviation of ``model`` over R and D."""
    std, mean = torch.std_mean(mixed, (1, -1), keepdim=True)
    model_std, model_mean = torch.std_mean(model, (1, -1), keepdim=True)
    return (mixed - mean) / std * model_std + model_mean
