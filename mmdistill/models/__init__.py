"""What is trained here, and networks of OpenMMLab packages as guides."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'autoencoder': ['AutoencoderTrainer'],
    'class_diffusion': ['ClassDiffusion'],
    'distiller': ['Distiller'],
    'evaluation_nets': ['ConvNet', 'ResNetAP'],
    'layout_diffusion': ['LayoutDiffusion'],
    'losses': ['TemperatureKLLoss'],
    'segmentor': ['SegmentorGuide'],
})
