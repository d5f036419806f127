"""Guidance of the generator, composed by config."""
import inspect
import os.path as osp
from typing import Any, Optional, Sequence

import torch
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import ProgressBar

from mmdistill.datasets import DatasetLabels
from mmdistill.errors import DistillError
from mmdistill.guidance import ClassStatistics, Guidance
from mmdistill.files import config_hash
from mmdistill.registry import GUIDANCES, HOOKS, MODELS
from mmdistill.selection import ClassClusters
from .clusters import class_clusters

SUPPORTS = 'support_points.safetensors'


@HOOKS.register_module()
class GuidedSynthesisHook(Hook):
    """Builds the objectives and hands them to the generator of a distillation run.

    Args:
        objectives: Configs of registered guidances.
        segmentor: Config of the frozen network (:class:`SegmentorGuide`) that objectives of masks share.
        support: Real latents that objectives of classes are drawn to: ``n_clusters`` of each class (10; None for as
            many as the class has images in the plan), and ``strategy``, ``crop``, ``batch_size`` and ``random_state``
            of :func:`~mmdistill.engine.hooks.clusters.class_clusters`.
        semantic: Config of a registered guidance that changes the condition by timestep.
        **guidance: ``window``, ``scale``, ``through``, ``update``, ``norm``, ``step``, ``every`` of
            :class:`mmdistill.guidance.Guidance`.

    Examples:
        >>> dict(type='GuidedSynthesisHook',
        >>>      segmentor=dict(type='SegmentorGuide', config='…', checkpoint='…', layers=['backbone']),
        >>>      objectives=[dict(type='SegmentationConsistency'), dict(type='ClassFeatureMatching', weight=0.1)],
        >>>      window=(0.25, 1.0), scale=3.0)
        >>> dict(type='GuidedSynthesisHook', semantic=dict(type='SemanticMatching'),
        >>>      objectives=[dict(type='TransportMatching')], support=dict(n_clusters=10), window=(0.08, 0.4))
    """

    def __init__(self,
                 objectives: Sequence[dict] = (),
                 segmentor: Optional[dict] = None,
                 support: Optional[dict] = None,
                 semantic: Optional[dict] = None,
                 **guidance: Any) -> None:
        self.objectives, self.segmentor, self.guidance = objectives, segmentor, guidance
        self.support, self.semantic = dict(support or {}), semantic

    def before_test(self, runner: Runner) -> None:
        """Build everything; a dry run needs none of it.

        Raises:
            DistillError: An objective needs masks, classes or a segmentor that the run does not have.
        """
        loop = runner.test_loop
        if loop.dry_run:
            return
        guide = self._guide(runner) if self.segmentor else None
        built = []
        for cfg in self.objectives:
            cfg = dict(cfg)
            parameters = inspect.signature(GUIDANCES.get(cfg['type'])).parameters
            if guide is None and not {'segmentor', 'extractor'}.isdisjoint(parameters):
                raise DistillError(f'{cfg["type"]} needs a segmentor: give GuidedSynthesisHook one')
            if 'segmentor' in parameters:
                cfg['segmentor'] = guide
            if 'extractor' in parameters:
                cfg['extractor'] = guide.features
            if 'statistics' in parameters:
                cfg['statistics'] = self._statistics(runner, guide, cfg.pop('min_area', 0.001))
            if 'supports' in parameters:
                clusters = self._supports(runner, cfg['type'])
                cfg.update(supports=clusters.centers, masses=clusters.masses, requests=loop.plan.requests)
            built.append(GUIDANCES.build(cfg))
        semantic = None
        if self.semantic:
            semantic = GUIDANCES.build(dict(self.semantic)).bind(runner.model.generator, loop.plan.requests)
        runner.model.guidance = Guidance(built, semantic=semantic, **self.guidance)
        loop.extra['guidance'] = dict(
            self.guidance, objectives=list(self.objectives), support=self.support, semantic=self.semantic)

    def _guide(self, runner: Runner):
        """The segmentor, on the device of the run."""
        guide = MODELS.build(self.segmentor).to(get_device())
        classes = len(runner.test_loop.masks.classes)
        if guide.num_classes != classes:
            raise DistillError(f'the guiding segmentor has {guide.num_classes} classes, the data set {classes}: '
                               'give one that was trained on these classes')
        return guide

    def _supports(self, runner: Runner, objective: str) -> ClassClusters:
        """The support points of each class, encoded once and kept in the work dir."""
        loop, settings = runner.test_loop, dict(self.support)
        if not isinstance(loop.source, DatasetLabels):
            raise DistillError(f'{objective} matches samples to the real images of their class, but '
                               f'{type(loop.dataset).__name__} has masks: take a data set of mmpretrain')
        wanted = settings.pop('n_clusters', 10)
        if wanted is None:
            wanted = -(-len(loop.plan.requests) // len(loop.source.classes))
        if not wanted >= 1:
            raise DistillError(f'GuidedSynthesisHook: support.n_clusters={wanted} must be at least 1')
        short = {name: count for name, count in zip(loop.source.classes, loop.source.counts) if count < wanted}
        if short:
            runner.logger.warning(f'Fewer than {wanted} real images, so each is a support point (a single one draws '
                                  'all samples of its class): '
                                  + ', '.join(f'{name} {count}' for name, count in short.items()))
        return class_clusters(runner, SUPPORTS, wanted, **settings)

    def _statistics(self, runner: Runner, guide, min_area: float) -> ClassStatistics:
        """The real set's class statistics, measured once and kept in the work dir."""
        path = osp.join(runner.work_dir, 'class_statistics.safetensors')
        loop = runner.test_loop
        fingerprint = config_hash([loop.masks.fingerprint(), self.segmentor, min_area,
                                   guide.fingerprint(), list(loop.image_size)])
        if is_main_process() and not _measured(path, fingerprint):
            runner.logger.info(f'Measuring class statistics of {len(loop.masks)} real images: {path}')
            statistics = ClassStatistics(len(loop.masks.classes), min_area, fingerprint)
            progress = ProgressBar(len(loop.masks))
            for images, masks in loop.real_batches():
                with torch.no_grad():
                    statistics.fit(guide.features(images), masks)
                progress.update(len(images))
            guide.forget()
            statistics.save(path)
        barrier()
        return ClassStatistics.load(path, fingerprint)


def _measured(path: str, fingerprint: str) -> bool:
    """Whether the statistics at ``path`` are of these data and this network."""
    try:
        return osp.isfile(path) and bool(ClassStatistics.load(path, fingerprint))
    except DistillError:
        return False
