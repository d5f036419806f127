"""Guidance of the generator, composed by config."""
import inspect
import os.path as osp
from typing import Any, List

import torch
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import ProgressBar

from mmdistill.errors import DistillError
from mmdistill.guidance import ClassStatistics, Guidance
from mmdistill.plan import config_hash
from mmdistill.registry import GUIDANCES, HOOKS, MODELS


@HOOKS.register_module()
class GuidedSynthesisHook(Hook):
    """Builds the objectives and hands them to the generator of a distillation run.

    Args:
        segmentor: Config of the frozen network that the objectives share (:class:`SegmentorGuide`).
        objectives: Configs of registered guidances.
        **guidance: ``window``, ``scale``, ``through``, ``update``, ``norm``, ``every`` of
            :class:`mmdistill.guidance.Guidance`.

    Example:
        >>> dict(type='GuidedSynthesisHook',
        >>>      segmentor=dict(type='SegmentorGuide', config='…', checkpoint='…', layers=['backbone']),
        >>>      objectives=[dict(type='SegmentationConsistency'), dict(type='ClassFeatureMatching', weight=0.1)],
        >>>      window=(0.25, 1.0), scale=3.0)
    """

    def __init__(self, segmentor: dict, objectives: List[dict], **guidance: Any) -> None:
        self.segmentor, self.objectives, self.guidance = segmentor, objectives, guidance

    def before_test(self, runner: Runner) -> None:
        """Build everything; a dry run needs none of it."""
        if runner.test_loop.dry_run:
            return
        guide = MODELS.build(self.segmentor).to(get_device())
        classes = len(runner.test_loop.masks.classes)
        if guide.num_classes != classes:
            raise DistillError(f'the guiding segmentor has {guide.num_classes} classes, the data set {classes}: '
                               'give one that was trained on these classes')
        built = []
        for cfg in self.objectives:
            cfg = dict(cfg)
            parameters = inspect.signature(GUIDANCES.get(cfg['type'])).parameters
            if 'segmentor' in parameters:
                cfg['segmentor'] = guide
            if 'extractor' in parameters:
                cfg['extractor'] = guide.features
            if 'statistics' in parameters:
                cfg['statistics'] = self._statistics(runner, guide, cfg.pop('min_area', 0.001))
            built.append(GUIDANCES.build(cfg))
        runner.model.guidance = Guidance(built, **self.guidance)

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
