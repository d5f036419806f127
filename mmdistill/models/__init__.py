"""Trainable models, and frozen networks of OpenMMLab packages that guide the generation."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'autoencoder': ['AutoencoderTrainer', 'DecoderTrainer'],
    'distiller': ['Distiller'],
    'efficientnet_lite': ['EfficientNetLite0'],
    'evaluation_nets': ['ConvNet', 'ResNetAP'],
    'feature_loss': ['FeatureLoss'],
    'latent_diffusion': ['ClassDiffusion', 'LayoutDiffusion'],
    'losses': ['TemperatureKLLoss', 'WeightedLoss'],
    'segmentor': ['SegmentorGuide'],
})
