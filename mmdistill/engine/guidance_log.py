"""What guidance does, in the log and in ``scalars.json``."""
from statistics import fmean
from typing import Any, Dict, Sequence

from mmdistill.generation.trace import GuidanceTrace


def log_guidance(runner: Any, traces: Sequence[GuidanceTrace], step: int) -> None:
    """Log the objectives' losses at the first and the last guided step, and the size of the step.

    The values are means over a batch. ``scalars.json`` has them as ``guidance/{objective}/first``,
    ``guidance/{objective}/last`` and ``guidance/step``.

    Args:
        runner: MMEngine's, with the logger and the visualizer.
        traces: Of the images of a batch that are finite; nothing is logged where there are none.
        step: Number of the batch.
    """
    if not traces:
        return
    scalars: Dict[str, float] = {}
    for name in traces[0].losses:
        for place, key in enumerate(('first', 'last')):
            scalars[f'guidance/{name}/{key}'] = fmean(trace.losses[name][place] for trace in traces)
    losses = [f'{name} {scalars[f"guidance/{name}/first"]:.4g} -> {scalars[f"guidance/{name}/last"]:.4g}'
              for name in traces[0].losses]
    scalars['guidance/step'] = fmean(trace.step for trace in traces)
    runner.logger.info(f'Guidance, first to last guided step: {", ".join(losses)}; a step is '
                       f'{scalars["guidance/step"]:.2%} of the latents')
    runner.visualizer.add_scalars(scalars, step=step)
