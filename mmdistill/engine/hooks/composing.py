"""Hooks that define the plan, the guidance and the label cleaning of a distillation run."""
from typing import Any, List, Mapping, Optional, Sequence

from mmengine.runner import Runner

from mmdistill.components import check_component
from mmdistill.datasets.masks import DatasetMasks
from mmdistill.datasets.wrappers import describe, parts_of
from mmdistill.engine.cleaning import CleaningSettings
from mmdistill.engine.composition import ComposingHook, Composition, PlanHook
from mmdistill.engine.guiding import GuidanceSettings
from mmdistill.engine.mask_planning import MaskPlanner
from mmdistill.engine.planning import ClassPlanner, PrototypePlanner
from mmdistill.engine.training import is_training, restrict_training
from mmdistill.errors import DistillError
from mmdistill.guidance import Guidance
from mmdistill.registry import HOOKS, SELECTORS
from mmdistill.tasks.base import all_tasks, task_of_datasets


@HOOKS.register_module()
class MaskSelectionHook(PlanHook):
    """Selects masks of the real dataset.

    In a distillation run (``DistillLoop``), images are generated for the selected masks. In a stock training of mmseg,
    the hook restricts the training to the selected real samples, which is the coreset baseline. In wrapped datasets
    (``RepeatDataset``, ...), each real sample is a candidate once; the wrappers then repeat, balance or mix the
    selected ones.

    Args:
        selector: Config of a registered selector.
        images_per_mask: Number of images generated for each selected mask, with different seeds. The set then has
            ``budget * images_per_mask`` images.
        start: What the images of a distillation start from: ``'noise'`` (D3S2), or ``'photo'``, the latents of the real
            image of the mask, to which the generator adds noise according to its ``strength``. With ``'photo'``, give
            ``test_cfg.method`` another name.
        workers: Number of processes that read masks; the number of cores by default. With 0 the main process reads.

    Example:
        >>> custom_hooks = [dict(type='mmdistill.MaskSelectionHook',
        >>>                      selector=dict(type='ClassBalancedGreedy', budget=0.01))]
    """
    planner = MaskPlanner

    @classmethod
    def check(cls, settings: Mapping[str, Any], where: str) -> None:
        """Raise a DistillError if the selector in ``settings``, at key ``where`` of the config, cannot select masks."""
        selector = check_component(settings['selector'], SELECTORS, f'{where}.selector')
        needs = getattr(selector, 'needs', 'histograms')
        if needs != 'histograms':
            raise DistillError(f'{where}.selector: {selector.__name__} selects by {needs}, but masks are selected '
                               'by class histograms: use another selector')

    def before_run(self, runner: Runner) -> None:
        """Restrict the training dataset to the selected samples."""
        if is_training(runner):
            dataset, key = runner.train_loop.dataloader.dataset, 'train_dataloader.dataset'
            task = task_of_datasets({f'{key}.{part.key}'.rstrip('.'): type(part.dataset) for part in parts_of(dataset)})
            if task.annotation != self.planner.annotation:
                raise DistillError(f'MaskSelectionHook selects {self.planner.annotation}, but {key} is for '
                                   f'{task.name}: leave the hook out')
            masks = DatasetMasks(dataset)
            if counted := describe(dataset, masks.dataset):
                runner.logger.info(f'{key}: {counted}')
            _, selected = MaskPlanner(**self.settings).select(masks, runner.work_dir, runner.logger)
            restrict_training(runner, sorted(selected))

    def before_train(self, runner: Runner) -> None:
        """Nothing to do: ``before_run`` has restricted the training set."""


@HOOKS.register_module()
class ClassPlanHook(PlanHook):
    """Plans ``ipc`` images per class that start from pure noise.

    The first images of all classes are generated before the second ones, so that an interrupted run is balanced.

    Args:
        ipc: Images per class.
        prompt: Template of the prompts, in which ``{}`` is replaced by the label text of the class. Generators that are
            conditioned on the class id do not use it.
        candidates: Number of images generated for each image of the set, with different random numbers. If it is above
            1, :class:`~mmdistill.engine.hooks.finishing.CandidateChoiceHook` must choose among them.

    Example:
        >>> custom_hooks = [dict(type='ClassPlanHook', ipc=10, prompt='a photo of {}')]
    """
    planner = ClassPlanner


@HOOKS.register_module()
class PrototypeHook(PlanHook):
    """Plans ``ipc`` images per class, each starting from a different prototype (D4M, arXiv 2407.15138).

    The prototypes are the centres of k-means over the latents of all real images of a class, encoded by the
    autoencoder of the generator. They are written to ``{work_dir}/prototypes.safetensors``
    (:class:`~mmdistill.selection.ClassClusters`, with counts and inertia). An interrupted run keeps the classes that
    are finished. Work dirs can share prototypes and latents through ``MMDISTILL_CACHE`` (:mod:`mmdistill.cache`).
    The classes are divided among the ranks; the result does not depend on the number of ranks.

    If a class has fewer than ``ipc`` images, every image becomes a prototype, and prototypes are reused cyclically
    with different seeds. The means of the autoencoder's Gaussians are clustered; the released code clusters samples.

    Args:
        ipc, prompt, candidates: See :class:`ClassPlanHook`. All candidates of an image start from the same prototype.
        crop: Whether real images are resized to cover the size of the generator and cropped at the centre (default),
            or resized to it without keeping the aspect ratio, as in the released code.
        batch_size: Number of real images that are encoded at once, 32 by default.
        random_state: Seed of k-means, 0 by default. The seed of the run affects the noise only.
        strategy: ``'kmeans'`` (default), ``'medoids'`` or ``'density'``; see
            :func:`~mmdistill.tasks.clusters.class_clusters`.

    Example:
        >>> custom_hooks = [dict(type='PrototypeHook', ipc=10)]
    """
    planner = PrototypePlanner


@HOOKS.register_module()
class GuidedSynthesisHook(ComposingHook):
    """Guides the generator of a distillation run.

    An objective declares in ``needs`` which resources it gets in addition to its settings.

    Args:
        objectives: Configs of registered objectives.
        semantic: Config of a registered guidance that changes the condition depending on the timestep.
        **settings: ``window``, ``scale``, ``through``, ``update``, ``norm``, ``step`` and ``every`` of
            :class:`mmdistill.guidance.Guidance`, and settings of the resources: ``segmentor`` of
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
        """The classes that take ``**settings``."""
        return [Guidance, *(task.resources for task in all_tasks())]

    def compose(self, composition: Composition) -> None:
        composition.set_guidance(self.guidance)


@HOOKS.register_module()
class LabelCleaningHook(ComposingHook):
    """Sets doubtful pixels in the masks of a distilled set to 255, the value that trainings ignore.

    The cleaners read the written images after all are generated. The masks are then rewritten, before the manifest is
    written. Cleaning always starts from the real mask, so a resumed run writes the same bytes. Log and manifest
    (``extra.cleaning.ignored``) contain the share of labelled pixels that each cleaner ignores, in total and per class.

    Args:
        cleaners: Configs of registered cleaners. All of them get the original mask; a pixel is ignored if one of them
            ignores it.
        **settings: Settings of the resources: ``segmentor`` of
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
        """The classes that take ``**settings``."""
        return [task.resources for task in all_tasks()]

    def compose(self, composition: Composition) -> None:
        composition.set_cleaning(self.cleaning)
