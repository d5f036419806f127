"""Guidance of the denoising loop by gradients of objectives; needs no OpenMMLab package."""
from .alignment import FeatureAlignment
from .base import Guidance, Objective
from .features import ClassFeatureMatching, ClassStatistics
from .points import PointMatching
from .segmentation import SegmentationConsistency
from .semantic import SemanticMatching
from .sets import SetMatching
from .transport import TransportMatching

__all__ = ['ClassFeatureMatching', 'ClassStatistics', 'FeatureAlignment', 'Guidance', 'Objective', 'PointMatching',
           'SegmentationConsistency', 'SemanticMatching', 'SetMatching', 'TransportMatching']
