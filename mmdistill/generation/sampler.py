"""The denoising loop: one for all methods."""
from typing import Callable, Dict, List, Optional, Tuple

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

    def __call__(self, denoiser: Callable, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """The combined prediction in the dtype of ``x``; a learned variance is the conditional pass's.

        ``denoiser(x, t, condition) -> (B, C or 2C, h, w)``, of noisy latents (B, C, h, w), at timestep ``t`` ().
        """
        if self.scale == 1:
            return denoiser(x, t.expand(len(x)), condition).to(x.dtype)
        out = denoiser(torch.cat([x, x]), t.expand(2 * len(x)), condition.null().cat(condition)).to(x.dtype)
        uncond, cond = out.chunk(2)
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

    Each step predicts x0, lets the guidance shift it (or the output, or the step's result), and leaves the step itself
    to the stock scheduler. Latents are float32 whatever the network's dtype is: rounding them at each step costs far
    more than rounding inside the network. No operation mixes rows.

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
    guided = () if guidance is None else guidance.steps(len(process))
    semantic = None if guidance is None else guidance.semantic
    watch = _FiniteWatch(x)
    times = process.timesteps.to(x.device)
    for i in range(len(process))[begin:end]:
        step_condition = semantic(condition, process.timesteps[i].item()) if semantic else condition
        active = i in guided
        through = active and guidance.through == 'xt'
        with torch.set_grad_enabled(through):
            x = x.detach().requires_grad_(through)
            out = cfg(denoiser, x, times[i], step_condition)
            x0 = process.x0(x, out, i)
        if active:
            shift, losses = guidance.shift(x, x0, condition, i, process, decode)
            watch.see(shift, i, 'the gradient of the guidance is')
        with torch.no_grad():
            moved = x0
            if active and guidance.update != 'prev':
                x0, out, moved = _shifted(guidance.update, process, x, x0, out, shift, i)
            x = process.step(out, i, x, generators)
            if active and guidance.update == 'prev':
                moved, x = x, x + shift
            if active and record is not None:
                record.see(losses, shift, moved)
        watch.see(x, i, 'latents are')
    watch.report(condition, failures)
    return x.detach()


def _shifted(update: str, process: NoiseProcess, x: Tensor, x0: Tensor, out: Tensor, shift: Tensor, i: int
             ) -> Tuple[Tensor, Tensor, Tensor]:
    """Clean prediction and output of step ``i``, one of them shifted, and what was shifted, as it was."""
    if update == 'x0':
        return x0 + shift, process.to_output(x, x0 + shift, out, i), x0
    said, variance = out[:, :x.shape[1]], out[:, x.shape[1]:]
    out = torch.cat([said + shift, variance], dim=1)
    return process.x0(x, out, i), out, said


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
