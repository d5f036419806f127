"""Metrics, evaluation of distilled sets, and the report."""
import mmdistill.registry  # noqa: F401  first: it names the command to run where no host stack is installed

from .results import Cells, format_results, mean_iou, rare_classes, summarise
from .students import ClassIoU, train_student
from .training_metrics import PSNR, MeanLoss

__all__ = ['Cells', 'ClassIoU', 'MeanLoss', 'PSNR', 'format_results', 'mean_iou', 'rare_classes', 'summarise',
           'train_student']
