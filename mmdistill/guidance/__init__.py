"""Objectives that steer the denoising loop, and the guidance that applies them. No OpenMMLab package is needed."""
from .base import Guidance, Objective
from .features import ClassFeatureMatching, ClassStatistics
from .segmentation import SegmentationConsistency
from .semantic import SemanticMatching
from .transport import TransportMatching

__all__ = ['ClassFeatureMatching', 'ClassStatistics', 'Guidance', 'Objective', 'SegmentationConsistency',
           'SemanticMatching', 'TransportMatching']
