"""Hooks that compose a distillation run: what it plans, and what guides it."""
from typing import Any, List, Mapping, Optional, Sequence

from mmengine.runner import Runner

from mmdistill.components import check_component
from mmdistill.datasets.masks import DatasetMasks
from mmdistill.datasets.wrappers import describe, parts_of
from mmdistill.engine.composition import CleaningSettings, ComposingHook, Composition, GuidanceSettings, PlanHook
from mmdistill.engine.planning import ClassPlanner, MaskPlanner, PrototypePlanner
from mmdistill.engine.training import is_training, restrict_training
from mmdistill.errors import DistillError
from mmdistill.guidance import Guidance
from mmdistill.registry import HOOKS, SELECTORS
from mmdistill.tasks.base import all_tasks, task_of_datasets


@HOOKS.register_module()
class MaskSelectionHook(PlanHook):
    """Selects masks of the real dataset.

    In a distillation run (``DistillLoop``) the selected masks become the plan. A stock mmseg training config is
    restricted to the selected real samples: the coreset baseline. Behind OpenMMLab's wrappers (``RepeatDataset``, ...)
    each real sample is a candidate once, and the wrappers then repeat, balance or mix the selected ones.

    Args:
        selector: Config of a registered selector.
        images_per_mask: Images that are made for each selected mask, each with its own seed; a distillation of
            ``budget`` masks has ``budget * images_per_mask`` images.
        start: What a distillation starts each image from: ``'noise'``, or ``'photo'``, the latents of the mask's own
            real image, to which the generator adds noise according to its ``strength``. D3S2 starts from noise; with
            photos give ``test_cfg.method`` another name.
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
            dataset, key = runner.train_loop.dataloader.dataset, 'train_dataloader.dataset'
            task = task_of_datasets({f'{key}.{part.key}'.rstrip('.'): type(part.dataset) for part in parts_of(dataset)})
            if task.annotation != self.planner.annotation:
                raise DistillError(f'MaskSelectionHook selects {self.planner.annotation}, but {key} is one of '
                                   f'{task.name}: leave the hook out')
            masks = DatasetMasks(dataset)
            if counted := describe(dataset, masks.dataset):
                runner.logger.info(f'{key}: {counted}')
            _, selected = MaskPlanner(**self.settings).select(masks, runner.work_dir, runner.logger)
            restrict_training(runner, sorted(selected))

    def before_train(self, runner: Runner) -> None:
        """The training set has been restricted."""


@HOOKS.register_module()
class ClassPlanHook(PlanHook):
    """Plans ``ipc`` images of each class, from pure noise: plain sampling of a class-conditional generator.

    The first image of every class comes before the second of any, so that an interrupted run is balanced.

    Args:
        ipc: Images per class.
        prompt: Template of the prompts; ``{}`` becomes the class's label text. Generators that are told the class do
            not read it.
        candidates: Images that are made for each, with other random numbers; with more than 1 a
            :class:`~mmdistill.engine.hooks.finishing.CandidateChoiceHook` keeps one of them.
    """
    planner = ClassPlanner


@HOOKS.register_module()
class PrototypeHook(PlanHook):
    """Plans ``ipc`` images of each class, each started from a prototype of its own (D4M, arXiv 2407.15138).

    The prototypes are the centres of k-means in each class, over the latents of all its real images by the generator's
    own autoencoder. They go to ``{work_dir}/prototypes.safetensors`` (:class:`~mmdistill.selection.ClassClusters`,
    with counts and inertia), keyed by data and weights; an interrupted run keeps the classes that it finished. Work
    dirs share them, and the latents, by ``MMDISTILL_CACHE`` (:mod:`mmdistill.cache`).
    Every rank encodes its share of the classes, and the result does not depend on the number of ranks.

    If a class has fewer than ``ipc`` images, every image becomes a prototype, and prototypes are reused cyclically
    with different seeds. The mean of the autoencoder's Gaussian is clustered, where the released code draws from it.

    Args:
        ipc, prompt, candidates: See :class:`ClassPlanHook`. All candidates of an image start from one prototype.
        crop: Whether real images are scaled to cover the generator's size and cropped at the centre (default), or
            squashed to it as in the released code.
        batch_size: Real images that the autoencoder sees at once, 32 by default.
        random_state: Seed of k-means, 0 by default. The run's own seed draws the noise alone.
        strategy: ``'kmeans'`` (default), ``'medoids'`` or ``'density'``; see
            :func:`~mmdistill.tasks.clusters.class_clusters`.

    Example:
        >>> custom_hooks = [dict(type='PrototypeHook', ipc=10)]
    """
    planner = PrototypePlanner


@HOOKS.register_module()
class GuidedSynthesisHook(ComposingHook):
    """Guides the generator of a distillation run.

    Objectives declare on their class, in ``needs``, what they are given besides their own settings.

    Args:
        objectives: Configs of registered guidances.
        semantic: Config of a registered guidance that changes the condition by timestep.
        **settings: ``window``, ``scale``, ``through``, ``update``, ``norm``, ``step``, ``every`` of
            :class:`mmdistill.guidance.Guidance`, and what the task's resources are made from: ``segmentor`` of
            :class:`~mmdistill.tasks.statistics.MaskResources`, ``support`` of
            :class:`~mmdistill.tasks.clusters.ClassResources`.

    Examples:
        >>> dict(type='GuidedSynthesisHook',
        >>>      segmentor=dict(type='SegmentorGuide', config='…', checkpoint='…', layers=['backbone']),
        >>>      objectives=[dict(type='SegmentationConsistency'), dict(type='ClassFeatureMatching', weight=0.1)],
        >>>      window=(0.25, 1.0), scale=3.0)
        >>> dict(type='GuidedSynthesisHook', semantic=dict(type='SemanticMatching'),
        >>>      objectives=[dict(type='TransportMatching')], support=dict(n_clusters=10), window=(0.08, 0.4))
    """

    def __init__(self, objectives: Sequence[dict] = (), semantic: Optional[dict] = None, **settings: Any) -> None:
        self.guidance = GuidanceSettings(objectives, semantic, settings)

    @classmethod
    def forwards_to(cls) -> List[type]:
        """The classes that ``**settings`` are for."""
        return [Guidance, *(task.resources for task in all_tasks())]

    def compose(self, composition: Composition) -> None:
        composition.set_guidance(self.guidance)


@HOOKS.register_module()
class LabelCleaningHook(ComposingHook):
    """Takes labels from pixels of the finished images of a distillation run: 255, which trainings ignore.

    When all images are there, the cleaners look at them as they were written, and the masks are written again before
    the manifest. The real mask is cleaned each time, so that a resumed run gives the same bytes. Log and manifest
    (``extra.cleaning.ignored``) say which share of the labelled pixels each cleaner ignores, over all and by class.

    Args:
        cleaners: Configs of registered cleaners. Each sees the masks as they were; what one of them ignores is ignored.
        **settings: What the task's resources are made from: ``segmentor`` of
            :class:`~mmdistill.tasks.statistics.MaskResources`.

    Example:
        >>> custom_hooks = [dict(type='MaskSelectionHook', selector=..., images_per_mask=4),
        >>>                 dict(type='LabelCleaningHook', segmentor=dict(type='SegmentorGuide', ...),
        >>>                      cleaners=[dict(type='MajorityVote'), dict(type='LossThreshold', factor=1.25)])]
    """

    def __init__(self, cleaners: Sequence[dict] = (), **settings: Any) -> None:
        self.cleaning = CleaningSettings(cleaners, settings)

    @classmethod
    def forwards_to(cls) -> List[type]:
        """The classes that ``**settings`` are for."""
        return [task.resources for task in all_tasks()]

    def compose(self, composition: Composition) -> None:
        composition.set_cleaning(self.cleaning)
