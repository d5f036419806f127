"""Metrics of a distilled set itself, without training: numpy, scikit-learn and POT, no OpenMMLab package."""
from .coverage import coverage_density, diversity
from .sets import class_balance, set_metrics
from .transport import Transport, frechet_distance, transport_distance

__all__ = ['Transport', 'class_balance', 'coverage_density', 'diversity', 'frechet_distance', 'set_metrics',
           'transport_distance']
