"""Semantic segmentation with mmsegmentation."""
import inspect
from typing import Any, Callable, Dict, List, Mapping

import numpy as np
import torch

from mmdistill.components import check_component
from mmdistill.datasets.layouts import SegLayout
from mmdistill.datasets.wrappers import real_parts
from mmdistill.errors import DistillError
from mmdistill.masks import IGNORE, paint_mask
from mmdistill.registry import MODELS, TASKS
from .base import Source, Task
from .statistics import MaskResources


@TASKS.register_module()
class Segmentation(Task):
    """Semantic segmentation: datasets and students of mmsegmentation, mIoU."""
    name = 'segmentation'
    scope = 'mmseg'
    annotation = 'masks'
    dataset_base = ('mmseg.datasets', 'BaseSegDataset')
    plan_hook = 'MaskSelectionHook'
    writer = 'SegWriter'
    resources = MaskResources
    metric = 'mIoU'
    evaluator = dict(type='mmdistill.ClassIoU')
    class_metric = 'IoU'
    rare_metric = 'rare_IoU'
    counted = 'pixels'
    drawn = 'mask'

    def check_dataset(self, dataset: type, settings: Mapping[str, Any], where: str) -> None:
        prefix = settings.get('data_prefix') or {}
        declared = inspect.signature(dataset).parameters.get('data_prefix')
        known = {'img_path', 'seg_map_path',
                 *(declared.default if declared and isinstance(declared.default, dict) else ())}
        if isinstance(prefix, dict) and prefix and not known & prefix.keys():
            raise DistillError(f'{where}.data_prefix has {", ".join(map(str, prefix))}: the keys of mmseg are img_path '
                               'and seg_map_path')
        if 'depth_map_path' in prefix:
            raise DistillError(f'{where}: {dataset.__name__} reads depth maps (data_prefix.depth_map_path), not masks '
                               'of classes: give a segmentation dataset')

    def source(self, dataset: Any) -> Source:
        from mmdistill.datasets.masks import DatasetMasks
        return DatasetMasks(dataset)

    def check_files(self, dataset: Any) -> None:
        self.source(dataset).check_files()

    def check_annotations(self, dataset: Any, cache: Any = None) -> None:
        """Read all masks: mmseg's metric would ignore ids out of range."""
        self.class_counts(dataset, cache)

    def distilled_dataset(self) -> type:
        from mmdistill.datasets.segmentation import DistilledSegDataset
        return DistilledSegDataset

    def notes(self, real: Any, test: Any) -> List[str]:
        """A note if a dataset has another ``ignore_index`` than 255, which mmseg's students and metrics do not know."""
        ignored = sorted({getattr(part, 'ignore_index', IGNORE) for one in (real, test) for part in real_parts(one)})
        if ignored == [IGNORE]:
            return []
        return [f'ignore_index of the datasets: {", ".join(map(str, ignored))}. As in mmseg, students learn and are '
                f'tested on such pixels unless their heads name the same id; the metric leaves out {IGNORE}.']

    def class_counts(self, dataset: Any, cache: Any = None) -> np.ndarray:
        """Pixels of each class in each mask, int64 (N, K)."""
        return self.source(dataset).histograms(cache)  # type: ignore[attr-defined]

    def draw(self, manifest: Mapping[str, Any], image: Mapping[str, Any], read: Callable[[str], np.ndarray]
             ) -> np.ndarray:
        """The mask in the colours of the classes."""
        return paint_mask(SegLayout.from_dict(manifest['layout']).decoding()[read(image['mask'])], manifest['palette'])

    def check_judge(self, cfg: Mapping[str, Any]) -> None:
        check_component(cfg, MODELS, 'judge')

    def judge(self, cfg: Mapping[str, Any]) -> Callable[[Any], Dict[str, float]]:
        """Agreement of a segmentor with the masks: :func:`~mmdistill.evaluation.judge.judge_agreement`."""
        from mmdistill.evaluation.judge import judge_agreement
        network = MODELS.build(dict(cfg, _scope_='mmdistill'))
        if torch.cuda.is_available():
            network = network.cuda()

        def agreement(dataset: Any) -> Dict[str, float]:
            masks: Any = self.source(dataset)
            if check := getattr(network, 'check_classes', None):
                check(masks.classes)
            return judge_agreement(network, masks)

        return agreement
