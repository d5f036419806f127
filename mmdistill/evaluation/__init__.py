"""Metrics, evaluation of distilled sets, and the report."""
import mmdistill.registry  # noqa: F401  first: it names the command to run where no host stack is installed

from .training_metrics import PSNR, MeanLoss

__all__ = ['MeanLoss', 'PSNR']
