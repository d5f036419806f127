"""The estimated cost of a run, and the remaining time while it runs."""
import datetime
import logging
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdistill.components import resolve
from mmdistill.errors import DistillError, counted, one_line
from mmdistill.generation.cost import GIB, Cost, Pace, Workload, estimate
from mmdistill.generation.outline import NoOutline, outline
from mmdistill.models.distiller import Distiller
from mmdistill.registry import GENERATORS, MODELS
from .batches import RequestBatches
from .composition import Composition

logger = logging.getLogger('mmdistill')
# Runs after MMEngine's IterTimerHook, whose estimate it replaces, and before LoggerHook, which prints it.
_PRIORITY = 55


def count_run(generator: Any, composition: Composition, work: Workload) -> Tuple[Cost, List[str]]:
    """Estimate the cost of a run. No weights are read and nothing is downloaded.

    Args:
        generator: The generator without weights, from :func:`generator_outline`.
        composition: The parts that the hooks define.
        work: The amount of work.

    Returns:
        The cost, and descriptions of the parts that it does not include.

    Raises:
        DistillError: The cost of a part of the generator is unknown.
    """
    missing: List[str] = []
    guidance, cleaning, segmentor, look = composition.guidance, composition.cleaning, None, None
    network = guidance.resources['segmentor'] if guidance is not None and guidance.asks_segmentor() else None
    cleaner = None if cleaning is None else cleaning.resources.get('segmentor')
    if asked := network or cleaner:
        try:
            segmentor, look = _segmentor(asked, generator.image_size)
        except Exception as error:  # some networks of OpenMMLab use operations without a meta kernel
            missing.append(f'the segmentor ({_line(error)})')
    if cleaner and network and cleaner['config'] != network['config']:
        missing.append('that labels are cleaned by another segmentor, which is counted as the guiding one')
    return estimate(generator, work, guidance and guidance.outline(), segmentor, look), missing


def check_outline(model: Distiller) -> Any:
    """Raise a DistillError if the settings of the generator do not fit its weights or the dataset.

    No weights are read. Nothing is checked if the configs of the weights are not on this machine.

    Returns:
        The result of :func:`generator_outline`; None if the outline cannot be built.
    """
    try:
        return generator_outline(model)
    except NoOutline:
        return None
    except DistillError as error:
        raise DistillError(f'model.generator: {error}') from None
    except Exception as error:  # loading the weights raises a clearer error
        logger.debug('%s', error)
        return None


def generator_outline(model: Distiller) -> Any:
    """The generator of a model without weights (:func:`~mmdistill.generation.outline.outline`)."""
    component: Any = resolve(model.settings, GENERATORS, 'model.generator')
    return outline(component, model.settings)


def work_of(run: Any) -> Workload:
    """The remaining work of a loop that has a plan, summed over all processes."""
    composition, requests = run.composition, run.plan.requests
    pending = [request for request in requests if not (run.resume and run.is_done(request))]
    world, batches = run.runner.world_size, list[int]()
    for rank in range(world):
        mine = RequestBatches(pending[rank::world], dict, run.batch_size)
        batches += [end - start for start, end in zip(mine.starts, [*mine.starts[1:], len(mine.requests)])]
    return Workload(batches, **composition.real_images(run.task, run), from_latents=composition.planner.starts,
                    cleaned=len(requests) if composition.cleaning else 0, processes=world)


def announce_cost(run: Any, outlined: Any) -> Optional[Cost]:
    """Log and return the cost of a loop that has a plan. If it cannot be estimated, log the reason and return None.

    If the configs of the networks must be downloaded, the generator is loaded first, except in a dry run.

    Args:
        run: The loop.
        outlined: The result of :func:`check_outline`.
    """
    try:
        if outlined is None and (run.dry_run or run.generator):  # loads the generator, which downloads its configs
            outlined = generator_outline(run.runner.model)
        cost, missing = count_run(outlined, run.composition, work_of(run))
    except Exception as error:  # a failing estimate must not stop the run
        run.logger.info(f'Cost: no estimate: {_line(error)}')
        return None
    for line in lines(cost, run.tflops):
        run.logger.info(line)
    if missing:
        run.logger.warning(f'The cost leaves out {"; ".join(missing)}')
    return cost


def lines(cost: Cost, rate: Optional[float] = None) -> List[str]:
    """Lines of text about work, memory and, if ``rate`` (TFLOP/s) is given, time."""
    if not cost.images:
        return ['Cost: no image is left to generate']
    shares = sorted(cost.tflop.items(), key=lambda item: -item[1])
    listed = ', '.join(f'{stage} {value / cost.total:.0%}' for stage, value in shares if value)
    stage = max(cost.stages, key=lambda name: cost.stages[name])
    found = [f'Cost: {_number(cost.total)} TFLOP for {counted(cost.images, "image")}: {listed}',
             f'Memory: about {_gib(cost.peak)} GiB at micro_batch={cost.micro_batch}: {_gib(cost.weights)} of weights, '
             f'{_gib(cost.stages[stage])} of activations in {stage}, the device\'s runtime not included']
    ranks = f' on {cost.processes} devices' if cost.processes > 1 else ''
    return [*found, f'Time: {_time(3600 * cost.hours(rate))} at {rate:g} TFLOP/s{ranks}'] if rate else found


def _gib(value: float) -> str:
    return f'{value:.1f}' if value >= 0.05 else 'under 0.1'


class PaceHook(Hook):
    """Replaces the remaining time in MMEngine's log by an estimate from the measured rate, and logs the rate.

    Args:
        cost: The estimate for all processes.
        images: Number of images that this process generates.
    """
    priority = _PRIORITY  # type: ignore[assignment]

    def __init__(self, cost: Cost, images: int) -> None:
        self.cost, self._each = cost, cost.synthesis / max(cost.images, 1)
        self.pace = Pace(self._each * images)
        self._begin = self._last = 0.0

    def before_test_epoch(self, runner: Runner) -> None:
        """Start the clock."""
        self._begin = self._last = time.perf_counter()

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Update the measured rate."""
        now = time.perf_counter()
        self.pace.update(self._each * len(data_batch['requests']), now - self._last)
        self._last = now
        runner.message_hub.update_info('eta', self.pace.seconds_left)
        if batch_idx == 1:
            runner.logger.info(f'Measured: {self.pace.rate:.3g} TFLOP/s, {_time(self.pace.seconds_left)} left')

    def after_test_epoch(self, runner: Runner, metrics: Optional[Dict[str, float]] = None) -> None:
        """Log the time and the memory that the images took."""
        if not self.pace.rate:
            return
        text = f'The images took {_time(self._last - self._begin)} at {self.pace.rate:.3g} TFLOP/s'
        if torch.cuda.is_available():
            text += (f', {torch.cuda.max_memory_allocated() / GIB:.1f} GiB of memory (estimate: {self.cost.peak:.1f})')
        runner.logger.info(text)


def _segmentor(settings: Mapping[str, Any], size: Tuple[int, int]) -> Tuple[Any, Any]:
    """The guiding segmentor on meta tensors, and a function that runs it on images.

    The function is called once for an image of ``size`` (height, width), so that unsupported networks raise an error.
    """
    component: Any = resolve(settings, MODELS, 'segmentor')
    guide = component.outline(settings)

    def look(images: torch.Tensor) -> Tuple[torch.Tensor, Any]:
        return guide(images), guide.features(images)

    with torch.no_grad():
        look(torch.empty(1, 3, *size, device='meta'))
    return guide, look


def _line(error: Exception) -> str:
    return one_line(error, named=not isinstance(error, DistillError))


def _number(value: float) -> str:
    return f'{value:,.0f}'.replace(',', ' ') if value >= 100 else f'{value:.3g}'


def _time(seconds: float) -> str:
    return f'{seconds / 3600:.1f} hours' if seconds >= 5400 else str(datetime.timedelta(seconds=round(seconds)))
