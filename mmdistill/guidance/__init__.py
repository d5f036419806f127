"""Objectives that steer the denoising loop, and the guidance that applies them. No host package is needed."""
from .base import Guidance, Objective
from .features import ClassFeatureMatching, ClassStatistics
from .segmentation import SegmentationConsistency

__all__ = ['ClassFeatureMatching', 'ClassStatistics', 'Guidance', 'Objective', 'SegmentationConsistency']
