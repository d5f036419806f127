"""Metrics, evaluation of distilled sets, and the report."""
from .psnr import PSNR

__all__ = ['PSNR']
