"""The built-in street scenes and object pictures, and the weights of their generators."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'objects': ['ObjectPictures'],
    'streets': ['StreetScenes'],
})
