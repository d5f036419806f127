"""The denoising loop and the generators. No host package is needed."""
from .conditions import Condition, resize_mask
from .controlnet import ControlNetGenerator
from .generators import LatentGenerator, LayoutUNetGenerator
from .process import NoiseProcess
from .sampler import ClassifierFreeGuidance, sample

__all__ = ['ClassifierFreeGuidance', 'Condition', 'ControlNetGenerator', 'LatentGenerator', 'LayoutUNetGenerator',
           'NoiseProcess', 'resize_mask', 'sample']
