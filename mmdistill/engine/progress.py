"""What a run says: what it is going to make, and what guidance does."""
from pathlib import Path
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


def announce(run: Any) -> None:
    """Log what is going to be made, from what, and where it goes.

    Args:
        run: The loop, with its plan.
    """
    plan, logger = run.plan, run.logger
    counts = [0] * len(plan.classes)
    for request in plan.requests:
        for index in request.classes:
            counts[index] += 1
    if len(set(counts)) == 1:
        listed = f'{counts[0]} for each of {len(counts)} classes'
    else:
        listed = 'images with each class: ' + ', '.join(f'{n} {c}' for n, c in zip(plan.classes, counts) if c)
    logger.info(f'Plan: {len(plan.requests)} images from {plan.source_size}; {listed}')
    missing = [name for name, count in zip(plan.classes, counts) if not count]
    if missing:
        logger.warning(f'No image has: {", ".join(missing)}')
    generator = run.runner.cfg.model['generator']
    logger.info(f'Generator: { {k: v for k, v in generator.items() if isinstance(v, (str, int, float))} }')
    logger.info(f'Plan: {run.plan_path}')
    if not run.dry_run:
        logger.info(f'Distilled set: {Path(run.root).resolve()}')
