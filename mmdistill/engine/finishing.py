"""Completes the set after all images of a run are generated."""
from contextlib import suppress
from typing import Any, Dict

from mmengine.dist import is_main_process

from mmdistill.datasets.manifest import read_manifest, write_manifest
from mmdistill.errors import DistillError, counted
from mmdistill.files import remove_temporary
from .choosing import choose, copy_chosen
from .cleaning import clean_labels
from .weighing import weigh


def finish(run: Any) -> None:
    """Run label cleaning, choice and image weights as the hooks define them, and write the manifest.

    Args:
        run: The run (:class:`~mmdistill.engine.loop.DistillLoop`).

    Raises:
        DistillError: Images were left out because their latents are not finite.
    """
    run.journal.read()
    missing = [request.id for request in run.plan.requests if not run.is_done(request)]
    if missing and run.on_nonfinite == 'skip':
        raise DistillError(f'{len(missing)} images are not finite, or depend on images that are not, so they '
                           f'were left out and the set is incomplete: {", ".join(missing)}; try them again with '
                           '--resume. If this does not help, lower the scale of guidance or run in float32, in '
                           'another --work-dir')
    parts = run.composition
    _warn_of_removed_weights(run)
    extra: Dict[str, Any] = dict(guidance=parts.guidance.describe()) if parts.guidance else {}
    if reading := run.source.reading():
        extra['reading'] = reading
    if describe := getattr(run.final_writer, 'describe', None):
        extra['files'] = describe(run.generator.image_size)
    if parts.cleaning:
        cleaners = parts.cleaning.build(run.resources['cleaning'])
        run.inputs.add_measured()
        run.inputs.save()
        extra['cleaning'] = dict(parts.cleaning.describe(), ignored=clean_labels(run, cleaners))
    plan, weights = run.plan, None
    if parts.choice and not missing:
        plan, extra['choice'] = choose(run, run.encoder)
        copy_chosen(run, plan)
    if parts.weights and not missing:
        weights, extra['image_weights'] = weigh(run, plan), parts.weights.describe(parts.planner)
    extra['inputs'] = run.inputs.describe()
    if is_main_process():
        if write_more := getattr(run.final_writer, 'finish', None):
            write_more(plan)
        write_manifest(run.final_root, plan, run.final_writer.layout, run.generator.describe(), extra, run.final_files,
                       weights)
        remove_temporary(run.root)  # the candidates, if there are any
        run.logger.info(f'Distilled set is complete: {counted(len(plan.requests), "image")} in {run.final_root}')
    run.runner.call_hook('after_test_epoch', metrics=dict(images=len(plan.requests)))


def _warn_of_removed_weights(run: Any) -> None:
    """Warn if the existing set has image weights and this run will remove them."""
    with suppress(DistillError):  # there is no readable set
        images = [] if run.composition.weights else read_manifest(run.final_root)['images']
        if any('weight' in image for image in images):
            run.logger.warning(f'The weights of the images in {run.final_root} are removed, since the config has no '
                               'ImageWeightsHook. To restore them, add the hook and run again with --resume')
