"""The denoising loop and the generators. No OpenMMLab package is needed."""
from .batching import Synthesis
from .class_conditional import ClassConditionalGenerator
from .conditions import Condition
from .controlnet import ControlNetGenerator
from .freestyle import FreestyleNetGenerator
from .generators import LatentGenerator
from .layout_conditional import LayoutUNetGenerator
from .process import NoiseProcess
from .sampler import ClassifierFreeGuidance, sample
from .text_to_image import Img2ImgGenerator

__all__ = ['ClassConditionalGenerator', 'ClassifierFreeGuidance', 'Condition', 'ControlNetGenerator',
           'FreestyleNetGenerator', 'Img2ImgGenerator', 'LatentGenerator', 'LayoutUNetGenerator', 'NoiseProcess',
           'Synthesis', 'sample']
