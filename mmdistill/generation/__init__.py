"""The denoising loop and the generators. No host package is needed."""
from .conditions import Condition
from .process import NoiseProcess
from .sampler import ClassifierFreeGuidance, sample

__all__ = ['ClassifierFreeGuidance', 'Condition', 'NoiseProcess', 'sample']
