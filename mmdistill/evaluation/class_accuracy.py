"""mmpretrain's metric, with what it reaches for each class beside the mean."""
from typing import Dict

import numpy as np
from mmpretrain.evaluation import Accuracy

from mmdistill.registry import METRICS


@METRICS.register_module()
class ClassAccuracy(Accuracy):
    """mmpretrain's top-1 ``Accuracy`` that also gives the accuracy of each class.

    The metrics are in points, 0..100: ``top1`` and one ``top1.{class}`` a class; NaN for a class that is not in the
    test set.
    """
    default_prefix = None

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """The metrics of all images' scores and labels."""
        labels = np.array([int(result['gt_label']) for result in results])
        predictions = np.array([int(result['pred_score'].argmax()) if 'pred_score' in result
                                else int(result['pred_label']) for result in results])
        correct, names = labels == predictions, self.dataset_meta['classes']
        return dict(
            top1=100 * float(correct.mean()),
            **{f'top1.{name}': 100 * float(correct[labels == i].mean()) if (labels == i).any() else float('nan')
               for i, name in enumerate(names)})
