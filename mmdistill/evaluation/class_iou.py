"""mmseg's metric, with what it reaches for each class beside the mean."""
from typing import Dict

import numpy as np
from mmseg.evaluation import IoUMetric

from mmdistill.registry import METRICS


@METRICS.register_module()
class ClassIoU(IoUMetric):
    """mmseg's ``IoUMetric`` that also gives what that one only prints: the IoU of each class.

    The metrics are in points, 0..100, not rounded: ``mIoU``, ``aAcc`` and one ``IoU.{class}`` a class; NaN for a class
    that is neither in the masks nor predicted, which ``mIoU`` leaves out.
    """

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """The metrics of the pixel counts (intersection, union, predicted, labelled) of all images."""
        intersection, union, _, labelled = (sum(counts).double().numpy() for counts in zip(*results))
        with np.errstate(invalid='ignore'):
            ious = 100 * intersection / union
        names = self.dataset_meta['classes']
        return dict(
            mIoU=float(np.nanmean(ious)),
            aAcc=float(100 * intersection.sum() / labelled.sum()),
            **{f'IoU.{name}': float(iou) for name, iou in zip(names, ious)})
