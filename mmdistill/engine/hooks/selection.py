"""Choosing real masks: the plan of a distillation run, or the subset of a training run."""
from typing import Any, Mapping

from mmengine.runner import Runner

from mmdistill.components import check_component
from mmdistill.datasets.masks import DatasetMasks
from mmdistill.engine.composition import PlanHook
from mmdistill.engine.planning import MaskPlanner
from mmdistill.engine.subset import is_training, restrict_training
from mmdistill.errors import DistillError
from mmdistill.registry import HOOKS, SELECTORS


@HOOKS.register_module()
class MaskSelectionHook(PlanHook):
    """Selects masks of the real dataset.

    In a distillation run (``DistillLoop``) the selected masks become the plan. A stock mmseg training config is
    restricted to the selected real samples: the coreset baseline.

    Args:
        selector: Config of a registered selector.
        workers: Processes that read masks; the number of cores by default, 0 reads in this one.

    Example:
        >>> custom_hooks = [dict(type='mmdistill.MaskSelectionHook',
        >>>                      selector=dict(type='ClassBalancedGreedy', budget=0.01))]
    """
    planner = MaskPlanner

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Check the selector of a config."""
        selector = check_component(settings['selector'], SELECTORS, f'{where}.selector')
        needs = getattr(selector, 'needs', 'histograms')
        if needs != 'histograms':
            raise DistillError(f'{where}.selector: {selector.__name__} selects by {needs}, and masks are selected by '
                               'their class histograms: take another selector')

    def before_run(self, runner: Runner) -> None:
        """Restrict the training dataset to the selected samples."""
        if is_training(runner):
            masks = DatasetMasks(runner.train_loop.dataloader.dataset)
            _, selected = MaskPlanner(**self.settings).select(masks, runner.work_dir, runner.logger)
            restrict_training(runner, sorted(selected))
