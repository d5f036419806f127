"""Metrics of a distilled set that need no training and no OpenMMLab package (numpy, scikit-learn, POT)."""
from .coverage import coverage_density, diversity
from .sets import class_balance, set_metrics
from .transport import Transport, frechet_distance, transport_distance

__all__ = ['Transport', 'class_balance', 'coverage_density', 'diversity', 'frechet_distance', 'set_metrics',
           'transport_distance']
