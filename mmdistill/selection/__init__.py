"""Selection of real masks by class histograms and of real samples by features; needs no OpenMMLab package."""
from .base import BaseSelector, PresenceSelector, Selector, resolve_budget
from .baselines import FrequencyWeightedSelector, KCenterSelector, RandomSelector, UniformPerClassSelector
from .clusters import ClassClusters, LatentClusters, NearestLatents
from .features import FeatureKCenterSelector, FeatureSelector, HerdingSelector, RandomPerClassSelector
from .greedy import ClassBalancedGreedy, RarestClassFirst
from .histograms import class_histograms
from .masks import mask_histogram, read_mask
from .report import format_table, plot_selection, selection_table

__all__ = [
    'BaseSelector', 'ClassBalancedGreedy', 'ClassClusters', 'FeatureKCenterSelector', 'FeatureSelector',
    'FrequencyWeightedSelector', 'HerdingSelector', 'KCenterSelector', 'LatentClusters', 'NearestLatents',
    'PresenceSelector', 'RandomPerClassSelector', 'RandomSelector', 'RarestClassFirst', 'Selector',
    'UniformPerClassSelector', 'class_histograms', 'format_table', 'mask_histogram', 'plot_selection', 'read_mask',
    'resolve_budget', 'selection_table'
]
