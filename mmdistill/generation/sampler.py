"""The denoising loop: one for all methods."""
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

    DiT's ``cfg_scale`` is this scale; for the ``(1 + w) * cond - w * uncond`` of other papers, as DMGD's, it is 1 + w.

    Args:
        scale: 1 is the conditional prediction alone, in one pass of half the size.
        channels: The first channels of the latents that are guided, while the others keep the conditional prediction:
            3 of 4 in DiT's code. None for all.
    """

    def __init__(self, scale: float = 1.0, channels: Optional[int] = None):
        self.scale, self.channels = scale, channels

    def __call__(self, denoiser: Callable, x: Tensor, t: Tensor, condition: Condition,
                 correct: Optional[Callable[[Tensor], Tensor]] = None) -> Tensor:
        """The combined prediction in the dtype of ``x``; a learned variance is the conditional pass's.

        Args:
            denoiser: ``(x, t, condition) -> (B, C or 2C, h, w)``.
            x: (B, C, h, w) noisy latents.
            t: () timestep.
            condition: Of B rows.
            correct: Changes the conditional output before the two are combined, so that the scale amplifies it.
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
    """Turn noise into clean latents.

    Each step predicts x0, lets the guidance shift it (or an output, or the step's result), and leaves the step itself
    to the stock scheduler. Latents are float32 whatever the network's dtype is: rounding them at each step costs far
    more than rounding inside the network. Only a joint objective of the guidance mixes rows.

    Args:
        denoiser: ``(x (B, C, h, w), t (B,), condition) -> output in the scheduler's type``; frozen.
        process: The noise process; it forgets its last batch.
        x: (B, C, h, w) latents of step ``begin``, on the networks' device; at step 0 standard normal noise.
        condition: Of B rows, on the same device.
        cfg: Defaults to the conditional prediction alone.
        guidance: A :class:`~mmdistill.guidance.base.Guidance` or None.
        decode: Latents to images in [-1, 1], differentiable; for guidance by images.
        generators: One CPU generator for each row; schedulers that add noise draw from them.
        begin, end: The first step, and the one to stop before; None for all that follow.
        failures: Gets the reason of each row whose latents or gradient are not finite any more; the others are as they
            would be. Without it, that is a DistillError, which names the row and the step.
        record: Takes in what guidance does.

    Returns:
        (B, C, h, w) clean latents, or those of step ``end``, float32 (float64 for float64 ``x``).
    """
    cfg = cfg or ClassifierFreeGuidance()
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    process.start(begin)
    steps = () if guidance is None else guidance.steps(len(process))
    semantic = None if guidance is None else guidance.semantic
    watch = _FiniteWatch(x)
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
                watch.see(guided.shift, i, 'the gradient of the guidance is')
                if record is not None:
                    record.see(guided.losses, guided.shift, guided.moved)
        watch.see(x, i, 'latents are')
    watch.report(condition, failures)
    return x.detach()


class _GuidedStep:
    """One guided step: the shift of what the guidance's ``update`` names, and what was shifted, as it was."""
    shift: Tensor
    losses: Dict[str, Tensor]
    moved: Tensor

    def __init__(self, guidance, process: NoiseProcess, condition: Condition, decode: Optional[Callable], i: int):
        self.guidance, self.process, self.condition, self.decode, self.i = guidance, process, condition, decode, i

    def conditional(self, x: Tensor, out: Tensor) -> Tensor:
        """The output of the conditional pass whose clean prediction is shifted."""
        x0 = self.process.x0(x, out, self.i)
        self._look(x, x0)
        self.moved = x0.detach()
        return self.process.to_output(x.detach(), self.moved + self.shift, out.detach(), self.i)

    def output(self, x: Tensor, x0: Tensor, out: Tensor) -> Tensor:
        """The output after classifier-free guidance, shifted if the guidance shifts that or its clean prediction."""
        update = self.guidance.update
        if update == 'conditional':
            return out
        self._look(x, x0)
        if update == 'x0':
            self.moved = x0
            return self.process.to_output(x, x0 + self.shift, out, self.i)
        if update == 'output':
            self.moved, variance = out[:, :x.shape[1]], out[:, x.shape[1]:]
            return torch.cat([self.moved + self.shift, variance], dim=1)
        return out

    def latents(self, x: Tensor) -> Tensor:
        """The latents after the step, shifted if the guidance shifts those."""
        if self.guidance.update != 'prev':
            return x
        self.moved = x
        return x + self.shift

    def _look(self, x: Tensor, x0: Tensor) -> None:
        self.shift, self.losses = self.guidance.shift(x, x0, self.condition, self.i, self.process, self.decode)


class _FiniteWatch:
    """Which rows stop being finite, where first. What it sees is read from the device once, by :meth:`report`."""

    def __init__(self, x: Tensor):
        self.first = x.new_full((len(x), ), -1, dtype=torch.long)
        self.seen: List[str] = []

    def see(self, value: Tensor, i: int, what: str) -> None:
        bad = value.isfinite().flatten(1).all(1).logical_not()
        self.first = torch.where(bad & (self.first < 0), len(self.seen), self.first)
        self.seen.append(f'{what} not finite at step {i}: lower the scale of guidance, or run the networks in float32')

    def report(self, condition: Condition, failures: Optional[Dict[int, str]]) -> None:
        """Write the reason of each such row to ``failures``; without them, raise the first."""
        found = {row: self.seen[first] for row, first in enumerate(self.first.tolist()) if first >= 0}
        if failures is not None:
            failures.update(found)
        elif found:
            row = min(found)
            name = f'request {condition.requests[row].id}' if condition.requests else f'row {row}'
            raise DistillError(f'{name}: {found[row]}')
