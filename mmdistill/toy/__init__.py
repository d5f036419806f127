"""The built-in scenes and pictures, and their generators' weights. Users' data does not pass through here."""
import mmdistill.registry  # noqa: F401  first: it says what to install where there is no OpenMMLab package
from mmdistill.lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {
    'objects': ['ObjectPictures'],
    'streets': ['StreetScenes'],
})
