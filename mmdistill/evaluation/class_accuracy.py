"""mmpretrain's accuracy, overall and per class."""
from typing import Dict

import numpy as np
from mmpretrain.evaluation import Accuracy

from mmdistill.registry import METRICS


@METRICS.register_module()
class ClassAccuracy(Accuracy):
    """mmpretrain's top-1 ``Accuracy``, with the accuracy per class.

    The metrics are percentages, 0..100: ``top1`` and one ``top1.{class}`` per class, which is NaN for a class that is
    not in the test set.

    Example:
        >>> test_evaluator = dict(type='mmdistill.ClassAccuracy')
    """
    default_prefix = None

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Compute the metrics from the scores and labels of all images."""
        labels = np.array([int(result['gt_label']) for result in results])
        predictions = np.array([int(result['pred_score'].argmax()) if 'pred_score' in result
                                else int(result['pred_label']) for result in results])
        correct, names = labels == predictions, self.dataset_meta['classes']
        return dict(
            top1=100 * float(correct.mean()),
            **{f'top1.{name}': 100 * float(correct[labels == i].mean()) if (labels == i).any() else float('nan')
               for i, name in enumerate(names)})
