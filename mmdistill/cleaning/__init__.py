"""Label cleaning: ignores pixels of a generated image that do not agree with its mask."""
from .base import IgnoredPixels, LabelCleaner, clean_masks
from .losses import ClassLosses, LossThreshold
from .votes import MajorityVote

__all__ = ['ClassLosses', 'IgnoredPixels', 'LabelCleaner', 'LossThreshold', 'MajorityVote', 'clean_masks']
