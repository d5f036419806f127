"""The denoising loop for all methods."""
from functools import partial
from typing import Callable, Dict, List, Optional

import torch
from torch import Tensor

from ..errors import DistillError
from .conditions import Condition
from .process import NoiseProcess
from .trace import GuidanceRecord


class ClassifierFreeGuidance:
    """``uncond + scale * (cond - uncond)``, both predictions from one batch (Ho & Salimans, arXiv 2207.12598).

    ``scale`` equals DiT's ``cfg_scale``. For ``(1 + w) * cond - w * uncond``, as in DMGD, set it to 1 + w.

    Args:
        scale: Scale, >= 0. For 1, only the conditional prediction is computed.
        channels: Number of leading latent channels that are guided; the others keep the conditional prediction. DiT's
            code guides 3 of 4. None for all.

    Example:
        >>> def denoiser(x, t, condition):
        ...     return x + condition['label'].view(-1, 1, 1, 1)
        >>> condition = Condition(dict(label=torch.tensor([2.0])), nulls=dict(label=torch.tensor([1.0])))
        >>> ClassifierFreeGuidance(scale=4.0)(denoiser, torch.zeros(1, 1, 1, 1), torch.tensor(0), condition).item()
        5.0
    """

    def __init__(self, scale: float = 1.0, channels: Optional[int] = None):
        self.scale, self.channels = scale, channels

    def __call__(self, denoiser: Callable, x: Tensor, t: Tensor, condition: Condition,
                 correct: Optional[Callable[[Tensor], Tensor]] = None) -> Tensor:
        """The combined prediction in the dtype of ``x``; a learned variance is taken from the conditional pass.

        Args:
            denoiser: ``(x, t, condition) -> (B, C or 2C, h, w)``.
            x: (B, C, h, w) noisy latents.
            t: () timestep.
            condition: Condition of B rows.
            correct: Changes the conditional output before the combination, so that the scale amplifies the change.
        """
        correct = correct or (lambda out: out)
        if self.scale == 1:
            return correct(denoiser(x, t.expand(len(x)), condition).to(x.dtype))
        out = denoiser(torch.cat([x, x]), t.expand(2 * len(x)), condition.null().cat(condition)).to(x.dtype)
        uncond, cond = out.chunk(2)
        cond = correct(cond)
        guided = self.channels or x.shape[1]
        mixed = uncond[:, :guided] + self.scale * (cond[:, :guided] - uncond[:, :guided])
        return torch.cat([mixed, cond[:, guided:]], dim=1)


def sample(
    denoiser: Callable[[Tensor, Tensor, Condition], Tensor], process: NoiseProcess, x: Tensor, condition: Condition,
    *, cfg: Optional[ClassifierFreeGuidance] = None, guidance=None, decode: Optional[Callable[[Tensor], Tensor]] = None,
    generators: Optional[List[torch.Generator]] = None, begin: int = 0, end: Optional[int] = None,
    failures: Optional[Dict[int, str]] = None, record: Optional[GuidanceRecord] = None,
) -> Tensor:
    """Denoise a batch of latents.

    Each step predicts x0 and applies the guidance to it (or to the output, or to the step's result); the scheduler
    computes the step. Latents are float32 for any dtype of the network, since rounding them at each step is far worse
    than rounding inside the network. Rows are independent unless the guidance has a joint objective.

    Args:
        denoiser: ``(x (B, C, h, w), t (B,), condition) -> output of the scheduler's prediction type``; frozen.
        process: The noise process; it is reset.
        x: (B, C, h, w) latents of step ``begin``, on the networks' device; standard normal noise at step 0.
        condition: Condition of B rows, on the same device.
        cfg: Classifier-free guidance; default: only the conditional prediction.
        guidance: A :class:`~mmdistill.guidance.base.Guidance` or None.
        decode: Differentiable function from latents to images in [-1, 1], for guidance in image space.
        generators: One CPU random generator per row, for schedulers that add noise.
        begin, end: First step, and end (exclusive); None for all following steps.
        failures: Receives row → reason for rows whose latents or gradients are no longer finite; other rows are not
            affected.
        record: Receives the losses and shifts of the guidance.

    Returns:
        (B, C, h, w) clean latents, or the latents at step ``end``, float32 (float64 for float64 ``x``).

    Raises:
        DistillError: Latents or gradients are not finite, and ``failures`` is None.
    """
    cfg = cfg or ClassifierFreeGuidance()
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    process.start(begin)
    steps = () if guidance is None else guidance.steps(len(process))
    semantic = None if guidance is None else guidance.semantic
    nonfinite = _NonFiniteRows(x)
    times = process.timesteps.to(x.device)
    for i in range(len(process))[begin:end]:
        step_condition = semantic(condition, process.timesteps[i].item()) if semantic else condition
        guided = _GuidedStep(guidance, process, condition, decode, i) if i in steps else None
        through = guided is not None and guidance.through_network
        with torch.set_grad_enabled(through):
            x = x.detach().requires_grad_(through)
            correct = partial(guided.conditional, x) if guided and guidance.update == 'conditional' else None
            out = cfg(denoiser, x, times[i], step_condition, correct)
            x0 = process.x0(x, out, i)
        with torch.no_grad():
            if guided:
                out = guided.output(x, x0, out)
            x = process.step(out, i, x, generators)
            if guided:
                x = guided.latents(x)
                finite = guided.shift.isfinite().flatten(1).all(1)
                for name, loss in guided.losses.items():  # the cause of a gradient that is not finite
                    nonfinite.check(loss.where(finite.logical_not(), 0), i, f'the loss of {name} is',
                                    'check its settings, ')
                nonfinite.check(guided.shift, i, 'the gradient of the guidance is')
                if record is not None:
                    record.add(guided.losses, guided.shift, guided.unshifted)
        nonfinite.check(x, i, 'latents are')
    nonfinite.report(condition, failures)
    return x.detach()


class _GuidedStep:
    """One guided step, with the shift of the tensor that the guidance's ``update`` selects."""
    shift: Tensor
    losses: Dict[str, Tensor]
    unshifted: Tensor  # the tensor before the shift

    def __init__(self, guidance, process: NoiseProcess, condition: Condition, decode: Optional[Callable], i: int):
        self.guidance, self.process, self.condition, self.decode, self.i = guidance, process, condition, decode, i

    def conditional(self, x: Tensor, out: Tensor) -> Tensor:
        """The output of the conditional pass, with its clean prediction shifted."""
        x0 = self.process.x0(x, out, self.i)
        self._compute_shift(x, x0)
        self.unshifted = x0.detach()
        return self.process.to_output(x.detach(), self.unshifted + self.shift, out.detach(), self.i)

    def output(self, x: Tensor, x0: Tensor, out: Tensor) -> Tensor:
        """The output after classifier-free guidance, shifted if the guidance applies to it or to its x0."""
        update = self.guidance.update
        if update == 'conditional':
            return out
        self._compute_shift(x, x0)
        if update == 'x0':
            self.unshifted = x0
            return self.process.to_output(x, x0 + self.shift, out, self.i)
        if update == 'output':
            self.unshifted, variance = out[:, :x.shape[1]], out[:, x.shape[1]:]
            return torch.cat([self.unshifted + self.shift, variance], dim=1)
        return out

    def latents(self, x: Tensor) -> Tensor:
        """The latents after the step, shifted if the guidance applies to them."""
        if self.guidance.update != 'prev':
            return x
        self.unshifted = x
        return x + self.shift

    def _compute_shift(self, x: Tensor, x0: Tensor) -> None:
        self.shift, self.losses = self.guidance.shift(x, x0, self.condition, self.i, self.process, self.decode)


class _NonFiniteRows:
    """Records where rows first become non-finite. The device is only read once, by :meth:`report`."""

    def __init__(self, x: Tensor):
        self.first = x.new_full((len(x), ), -1, dtype=torch.long)
        self.reasons: List[str] = []

    def check(self, value: Tensor, i: int, what: str, advice: str = '') -> None:
        bad = value.isfinite().view(len(value), -1).all(1).logical_not()
        self.first = torch.where(bad & (self.first < 0), len(self.reasons), self.first)
        self.reasons.append(f'{what} not finite at step {i}: {advice}lower the scale of guidance, or run the networks '
                            'in float32')

    def report(self, condition: Condition, failures: Optional[Dict[int, str]]) -> None:
        """Write the reason for each non-finite row to ``failures``; if that is None, raise the first."""
        found = {row: self.reasons[first] for row, first in enumerate(self.first.tolist()) if first >= 0}
        if failures is not None:
            failures.update(found)
        elif found:
            row = min(found)
            name = f'request {condition.requests[row].id}' if condition.requests else f'row {row}'
            raise DistillError(f'{name}: {found[row]}')
