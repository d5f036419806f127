"""mmseg's IoU, mean and per class."""
from typing import Dict

import numpy as np
from mmseg.evaluation import IoUMetric

from mmdistill.registry import METRICS


@METRICS.register_module()
class ClassIoU(IoUMetric):
    """mmseg's ``IoUMetric`` that also returns the IoU per class, which mmseg only prints.

    The metrics are percentages, 0..100, not rounded: ``mIoU``, ``aAcc`` and one ``IoU.{class}`` per class. The IoU of a
    class that is neither in the masks nor predicted is NaN, and ``mIoU`` ignores it.

    Example:
        >>> test_evaluator = dict(type='mmdistill.ClassIoU')
    """

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Compute the metrics from each image's pixel counts (intersection, union, predicted, labelled)."""
        intersection, union, _, labelled = (sum(counts).double().numpy() for counts in zip(*results))
        with np.errstate(invalid='ignore'):
            ious = 100 * intersection / union
        names = self.dataset_meta['classes']
        return dict(
            mIoU=float(np.nanmean(ious)),
            aAcc=float(100 * intersection.sum() / labelled.sum()),
            **{f'IoU.{name}': float(iou) for name, iou in zip(names, ious)})
