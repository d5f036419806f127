"""Validation metrics for the training of autoencoders and diffusion models."""
from typing import Dict, List, Sequence

import torch
from mmengine.evaluator import BaseMetric

from mmdistill.registry import METRICS


@METRICS.register_module()
class PSNR(BaseMetric):
    """Mean PSNR in dB of ``pred_img`` against ``gt_img`` over all images, both (3, H, W) in [-1, 1].

    Example:
        >>> val_evaluator = dict(type='mmdistill.PSNR')
    """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            error = (sample['pred_img'].double() - sample['gt_img'].double()).square().mean()
            self.results.append(float(10 * torch.log10(4 / error)))  # the values span 2

    def compute_metrics(self, results: List[float]) -> Dict[str, float]:
        return dict(PSNR=sum(results) / len(results))


@METRICS.register_module()
class MeanLoss(BaseMetric):
    """Mean over all samples of the ``loss`` that the model returns.

    Example:
        >>> val_evaluator = dict(type='mmdistill.MeanLoss')
    """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        self.results += [sample['loss'] for sample in data_samples]

    def compute_metrics(self, results: List[float]) -> Dict[str, float]:
        return dict(loss=sum(results) / len(results))
