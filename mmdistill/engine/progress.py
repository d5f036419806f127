"""Log messages of a run: its plan, and the effect of guidance."""
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any, Dict, Mapping, Sequence, Tuple

from mmdistill.datasets.masks import DatasetMasks
from mmdistill.datasets.origin import other_split
from mmdistill.datasets.wrappers import describe, real_parts
from mmdistill.errors import counted
from mmdistill.generation.trace import GuidanceTrace
from mmdistill.plan import Plan
from mmdistill.tasks.base import repeated_name
from mmdistill.terminal import LOG_FILE_ONLY
from .inherited import TRAINING_KEY, same_split

_LARGE_STEP = 0.5  # size of a guidance step, relative to the latents, that triggers a warning
_OTHER_SHAPE = 1.5  # change of the aspect ratio that triggers a warning; photos of 4:3 at a square size have 1.33


def log_guidance(runner: Any, traces: Sequence[GuidanceTrace], step: int) -> None:
    """Log the losses of the objectives at the first and last guided step, and the size of a step.

    In ``scalars.json``, the keys are ``guidance/{objective}/first``, ``guidance/{objective}/last``, ``guidance/step``.

    Args:
        runner: The runner.
        traces: One for each finite image of a batch. The logged values are means over them.
        step: Number of the batch.
    """
    if not traces:
        return
    scalars, losses = {}, []
    for name in traces[0].losses:
        first, last = (fmean(trace.losses[name][place] for trace in traces) for place in (0, 1))
        scalars.update({f'guidance/{name}/first': first, f'guidance/{name}/last': last})
        losses.append(f'{name} {first:.4g} -> {last:.4g}')
    scalars['guidance/step'] = fmean(trace.step for trace in traces)
    runner.logger.info(f'Guidance, first to last guided step: {", ".join(losses)}; a step is '
                       f'{scalars["guidance/step"]:.2%} of the latents', extra=LOG_FILE_ONLY)
    if scalars['guidance/step'] > _LARGE_STEP:
        runner.logger.warning('Steps of guidance of this size destroy images: lower the scale of GuidedSynthesisHook')
    runner.visualizer.add_scalars(scalars, step=step)


def log_ignored(logger: Any, ignored: Mapping[str, Mapping[str, Any]]) -> None:
    """Log the shares of pixels that label cleaning ignores (:meth:`~mmdistill.cleaning.IgnoredPixels.shares`)."""
    for name, one in ignored.items():
        classes = ', '.join(f'{label} {share:.1%}' for label, share in one['classes'].items() if share)
        logger.info(f'Label cleaning, {name}: {one["share"] or 0:.2%} of the labelled pixels are ignored'
                    + (f'; {classes}' if classes else ''))


def announce_source(runner: Any, dataset: Any, real: Any, key: str) -> None:
    """Log notes about the real dataset, and warn if it is not a training split.

    Args:
        runner: The runner. Its config may have a ``val_dataloader``.
        dataset: The dataset, possibly wrapped.
        real: Its real samples (:func:`~mmdistill.datasets.wrappers.real_dataset`).
        key: Key of the dataset in the config.
    """
    notes = [text] if (text := describe(dataset, real)) else []
    if key == TRAINING_KEY:
        notes += ['the inherited keys of training and validation are ignored']
    if any(getattr(part, '_indices', None) is not None for part in real_parts(real)):
        notes += ['remove its indices from configs that read the distilled set']
    if notes:
        runner.logger.info(f'Source: {key}; {"; ".join(notes)}')
    predefined = [getattr(type(part), 'METAINFO', {}).get('classes') for part in real_parts(real)]
    classes = real.metainfo.get('classes') or ()
    if (twice := repeated_name(classes)) and tuple(classes) not in [tuple(names or ()) for names in predefined]:
        runner.logger.warning(f'{key}: {twice}: they have the same prompt, and tables show only one of them: give them '
                              'different names in metainfo.classes')
    if other := next(filter(None, (other_split(part) for part in real_parts(real))), '') or same_split(runner.cfg):
        runner.logger.warning(f'{key} is not a training split ({other}): students tested on it would be tested '
                              'on the source of their training images: distil the training split')


def warn_shape(logger: Any, source: Any, size: Tuple[int, int]) -> None:
    """Warn if resizing the masks would change the aspect ratio much.

    Args:
        logger: The logger.
        source: The real dataset; only masks are resized without keeping the aspect ratio.
        size: Height and width of generated images.
    """
    if not isinstance(source, DatasetMasks):
        return
    height, width = source.photo_size(0)
    change = (size[1] / size[0]) / (width / height)
    if max(change, 1 / change) > _OTHER_SHAPE:
        logger.warning(f'Images are generated at {size} (height, width), but the first photo has {(height, width)}: '
                       'masks are resized to this shape without keeping their aspect ratio. Set '
                       'model.generator.image_size to the shape of the photos')


def announce(run: Any) -> None:
    """Log the plan of a run: what will be generated, from which data, and in which folder."""
    plan, logger = run.plan, run.logger
    counts = _class_counts(plan)
    logger.info(f'Plan: {counted(len(plan.requests), "image")} from {plan.source_size} real ones{_for_each(plan)}'
                f'{_per_class(plan, counts)}')
    if missing := [name for name, count in counts.items() if not count]:
        logger.warning(f'No image of the plan has these classes: {", ".join(missing)}')
    generator = run.runner.cfg.model['generator']
    logger.info(f'Generator: { {k: v for k, v in generator.items() if isinstance(v, (str, int, float))} }',
                extra=LOG_FILE_ONLY)
    if run.composition.guidance:
        logger.info(f'Guidance: {run.composition.guidance.describe()}', extra=LOG_FILE_ONLY)
    elif plan.method == 'D3S2':
        logger.warning("test_cfg.method='D3S2' will be written to the set, but no hook guides the images: add a "
                       "GuidedSynthesisHook, or set test_cfg.method='unguided'")
    if run.composition.cleaning:
        logger.info(f'Label cleaning: {run.composition.cleaning.describe()}', extra=LOG_FILE_ONLY)
    if run.composition.choice:
        logger.info(f'Choice: {run.composition.choice.describe()}', extra=LOG_FILE_ONLY)
    if run.composition.weights:
        logger.info(f'Image weights: {run.composition.weights.describe(run.composition.planner)}', extra=LOG_FILE_ONLY)
    logger.info(f'Plan: {run.plan_path}')
    if not run.dry_run:
        logger.info(f'Distilled set: {Path(run.final_root).resolve()}')


def _for_each(plan: Plan) -> str:
    each = plan.provenance.get('images_per_mask', 1)
    candidates = 1 + max(request.candidate for request in plan.requests)
    if candidates > 1:
        return f', {candidates} candidates for each of {len(plan.requests) // candidates} that are kept'
    return f', {each} for each of {len(plan.requests) // each} masks' if each > 1 else ''


def _class_counts(plan: Plan) -> Dict[str, int]:
    """Number of images that have each class, without candidates; an image with a mask may have several classes."""
    found = Counter(index for request in plan.requests if not request.candidate for index in request.classes)
    return {name: found[index] for index, name in enumerate(plan.classes)}


def _per_class(plan: Plan, counts: Mapping[str, int]) -> str:
    if len({*counts.values()}) > 1:
        return '; images with each class: ' + ', '.join(f'{name} {count}' for name, count in counts.items() if count)
    each = next(iter(counts.values()))
    if sum(counts.values()) > sum(not request.candidate for request in plan.requests):
        return f'; each of {len(counts)} classes is in {each} of them'
    return f', {each} per class for {len(counts)} classes'
