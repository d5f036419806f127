"""The denoising loop: one for all methods."""
from typing import Callable, List, Optional

import torch
from torch import Tensor

from .conditions import Condition
from .process import NoiseProcess


class ClassifierFreeGuidance:
    """``uncond + scale * (cond - uncond)``, both predictions from one batch (Ho & Salimans, arXiv 2207.12598).

    DiT's code counts alike: its ``cfg_scale`` 4 is scale 4 here. Where a paper writes
    ``(1 + w) * cond - w * uncond``, as DMGD's does, the scale is 1 + w.

    Args:
        scale: 1 is the conditional prediction alone, in one pass of half the size.
        channels: The first channels of the latents that are guided, while the others keep the conditional prediction:
            3 of 4 in DiT's code. None for all.
    """

    def __init__(self, scale: float = 1.0, channels: Optional[int] = None):
        self.scale = scale
        self.channels = channels

    def __call__(self, denoiser: Callable, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """The combined prediction in the dtype of ``x``; a learned variance is the conditional pass's.

        Args:
            denoiser: ``(x, t, condition) -> (B, C or 2C, h, w)``.
            x: (B, C, h, w) noisy latents.
            t: () timestep.
            condition: Of B rows.
        """
        if self.scale == 1:
            return denoiser(x, t.expand(len(x)), condition).to(x.dtype)
        out = denoiser(torch.cat([x, x]), t.expand(2 * len(x)), condition.null().cat(condition)).to(x.dtype)
        uncond, cond = out.chunk(2)
        guided = self.channels or x.shape[1]
        mixed = uncond[:, :guided] + self.scale * (cond[:, :guided] - uncond[:, :guided])
        return torch.cat([mixed, cond[:, guided:]], dim=1)


def sample(
    denoiser: Callable[[Tensor, Tensor, Condition], Tensor],
    process: NoiseProcess,
    noise: Tensor,
    condition: Condition,
    *,
    cfg: Optional[ClassifierFreeGuidance] = None,
    guidance=None,
    generators: Optional[List[torch.Generator]] = None,
    init: Optional[Tensor] = None,
    strength: float = 1.0,
    on_step: Optional[Callable[[int, Tensor], None]] = None,
) -> Tensor:
    """Turn noise into clean latents.

    Each step predicts x0, lets the guidance shift it (or the step's result), and leaves the step itself to the stock
    scheduler. Latents are float32 whatever the network's dtype is: rounding them at each step costs far more than
    rounding inside the network. No operation mixes rows.

    Args:
        denoiser: ``(x (B, C, h, w), t (B,), condition) -> output in the scheduler's type``; frozen.
        process: The noise process; it forgets what it did before.
        noise: (B, C, h, w) standard normal, on the networks' device.
        condition: Of B rows, on the same device.
        cfg: Defaults to the conditional prediction alone.
        guidance: A :class:`~mmdistill.guidance.base.Guidance` or None.
        generators: One CPU generator for each row; schedulers that add noise draw from them.
        init, strength: See :meth:`NoiseProcess.start`.
        on_step: Called after each step with its index and the (guided) x0.

    Returns:
        (B, C, h, w) clean latents, float32 (float64 for float64 noise).
    """
    cfg = cfg or ClassifierFreeGuidance()
    x = noise.to(torch.promote_types(noise.dtype, torch.float32))
    x, first = process.start(x, init, strength)
    times = process.timesteps.to(x.device)
    for i in range(first, len(process)):
        step_condition = condition if guidance is None else guidance.condition(condition, process.timesteps[i].item())
        active = guidance is not None and guidance.active(i, len(process))
        through = active and guidance.through == 'xt'
        with torch.set_grad_enabled(through):
            x = x.detach().requires_grad_(through)
            out = cfg(denoiser, x, times[i], step_condition)
            x0 = process.x0(x, out, i)
        shift = guidance.shift(x, x0, condition, i) if active else None
        with torch.no_grad():
            if active and guidance.update == 'x0':
                x0 = x0 + shift
                out = process.to_output(x, x0, out, i)
            x = process.step(out, i, x, generators)
            if active and guidance.update == 'prev':
                x = x + shift
        if on_step is not None:
            on_step(i, x0.detach())
    return x.detach()
